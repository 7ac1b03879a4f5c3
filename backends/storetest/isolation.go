package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

var isolationCases = map[string]func(*testing.T, *home){
	"another storefront sees nothing":    anotherSeesNothing,
	"another storefront changes nothing": anotherChangesNothing,
	"a purge takes its own rows only":    purgeTakesItsOwn,
}

func twoStorefronts(t *testing.T, h *home) (mine, other backends.Store) {
	mine, other = h.storefront(t), h.storefront(t)
	put(t, mine, "same id", 1)
	put(t, other, "other id", 2)
	return mine, other
}

func anotherSeesNothing(t *testing.T, h *home) {
	_, other := twoStorefronts(t, h)
	requireAbsent(t, other, "same id")
	require.NoError(t, view(other, func(tx backends.Tx) error {
		var rows []struct {
			ID    string `db:"id"`
			Value int64  `db:"value"`
		}
		require.NoError(t, tx.Select(&rows, allCounters))
		require.Len(t, rows, 1)
		return nil
	}))
	require.NoError(t, other.Read(context.Background(), func(r backends.Reader) error {
		rows, _, err := r.Scan(counters, "", "", 10)
		require.NoError(t, err)
		require.Equal(t, []backends.Row{counterRow("other id", 2)}, rows)
		found, err := r.Rows([]backends.Key{counterKey("same id")})
		require.NoError(t, err)
		require.Empty(t, found)
		last, err := r.LastKey(counters)
		require.NoError(t, err)
		require.Equal(t, "other id", last)
		return nil
	}))
}

func anotherChangesNothing(t *testing.T, h *home) {
	mine, other := twoStorefronts(t, h)
	update(t, other, func(tx backends.Tx) error {
		for _, st := range []*backends.Statement{dropCounter, setCounter} {
			args := []any{"same id"}
			if st == setCounter {
				args = append(args, 9)
			}
			n, err := tx.Exec(st, args...)
			require.NoError(t, err)
			require.Zero(t, n)
		}
		_, err := tx.Exec(addCounter, "same id", 5)
		return err
	})
	require.EqualValues(t, 1, value(t, mine, "same id"))
}

func purgeTakesItsOwn(t *testing.T, h *home) {
	mine, other := twoStorefronts(t, h)
	purge(t, other, enlisted(t, other))
	require.EqualValues(t, 1, value(t, mine, "same id"))
}
