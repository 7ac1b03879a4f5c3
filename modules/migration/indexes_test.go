package migration

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestUniqueIndexIsMadeWhenRowsAgree: a value goes from one row to another between the
// mover's look at what was captured and its look at the rows, when the table has no more
// chunks. Both rows have it at the target then, where no index is yet.
func TestUniqueIndexIsMadeWhenRowsAgree(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	var i *instance
	var id backends.StorefrontID
	put := func(row, hash string) {
		require.NoError(t, i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(putTwin, row, []byte(hash))
			return err
		}))
	}
	change := sync.OnceFunc(func() { put("b", "other") })
	pass := sync.OnceFunc(func() {
		put("a", "new")
		put("b", "passed")
	})
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{
			Store: s,
			afterPage: func(table *backends.Table) {
				if table.Name == tokens.Name {
					change()
				}
			},
			afterCaptured: func(table string, entries []backends.Entry) {
				if table == tokens.Name && len(entries) > 0 {
					pass()
				}
			},
		}
	}
	var loads atomic.Int64
	i = w.instance(t, func(_ context.Context, point string) error {
		if point == "loaded" {
			loads.Add(1)
		}
		return nil
	})
	id = i.storefront(t, 1)
	put("a", "passed")
	put("b", "b")
	m := startTo(t, i, id, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	require.EqualValues(t, len(i.directory.Catalog().Moving())+1, loads.Load(), "the index could not be made at first")
	for row, hash := range map[string]string{"a": "new", "b": "passed"} {
		var got []byte
		require.NoError(t, i.router.Get(ctx, id, &got, readTwin, row))
		require.Equal(t, hash, string(got))
	}
	err := i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(putTwin, "c", []byte("passed"))
		return err
	})
	require.ErrorIs(t, err, backends.ErrUnique, "the index is there")
}
