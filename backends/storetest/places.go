package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

var placeCases = map[string]func(*testing.T, *home){
	"making, upgrading and destroying repeat": lifecycleRepeats,
	"a place that does not exist":             missingPlace,
	"the backend answers for itself":          answersForItself,
	"the schema is what the catalog says":     schemaIsCatalog,
}

func lifecycleRepeats(t *testing.T, h *home) {
	ctx := context.Background()
	p := h.newPlace(3)
	for range 2 {
		require.NoError(t, h.Backend.Create(ctx, p))
		require.NoError(t, h.Backend.Upgrade(ctx, p))
	}
	schema, err := h.Backend.Schema(ctx, p)
	require.NoError(t, err)
	require.Positive(t, schema.Version)
	require.Equal(t, schema.Newest, schema.Version)
	require.Zero(t, schema.Pending+schema.Unknown)
	for range 2 {
		require.NoError(t, h.Backend.Destroy(ctx, p))
	}
}

// missingPlace: where every place is its own file or database it must be told; a
// shared database has a place for everyone, with no fence in it.
func missingPlace(t *testing.T, h *home) {
	p := h.newPlace(epoch)
	s, err := h.Backend.Open(context.Background(), p)
	if !h.Backend.Shared() {
		require.ErrorIs(t, err, backends.ErrNoPlace)
		return
	}
	require.NoError(t, err)
	requireRefused(t, view(s, nothing), backends.Absent)
	require.NoError(t, s.Close())
}

func answersForItself(t *testing.T, h *home) {
	ctx := context.Background()
	require.NoError(t, h.Backend.Ping(ctx))
	for _, f := range h.Backend.Check(ctx) {
		require.False(t, f.Hinders(), "%+v", f)
	}
	room, err := h.Backend.Room(ctx)
	require.NoError(t, err)
	require.NotZero(t, room.Free)
	require.NotEmpty(t, room.How)
	strain, err := h.Backend.Strain(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, strain.LockWait, time.Duration(0))
	s := h.storefront(t)
	size, err := s.Size(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, size, int64(0))
	require.NoError(t, s.Inspect(ctx))
	require.NoError(t, s.Prepare(ctx))
}

// schemaIsCatalog reads every table of the catalog by its declared columns, and finds
// it to be as declared.
func schemaIsCatalog(t *testing.T, h *home) {
	s := h.storefront(t)
	require.NoError(t, s.Read(context.Background(), func(r backends.Reader) error {
		for _, table := range h.catalog.Tables() {
			_, _, err := r.Scan(table, "", "", 1)
			require.NoError(t, err, table.Name)
			_, err = r.Sums(table)
			require.NoError(t, err, table.Name)
			columns, uniques, err := r.Shape(table)
			require.NoError(t, err, table.Name)
			require.ElementsMatch(t, table.Columns, columns, table.Name)
			for _, u := range table.Uniques {
				require.Contains(t, uniques, u.Name)
			}
		}
		return nil
	}))
}
