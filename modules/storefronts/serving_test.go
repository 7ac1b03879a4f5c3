package storefronts

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
)

// TestServesOnWithoutControlDatabase: what was seen stays known while the control
// database is away; what was not seen is an error, and not "no such storefront".
func TestServesOnWithoutControlDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := controltest.Open(t)
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	catalog, err := backends.NewCatalog()
	require.NoError(t, err)
	directory := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{backends.SQLite: sqlite.Opener(catalog)})
	stores := backends.NewStores(directory, 4)
	s := NewService(db, directory, stores)
	now := time.Unix(0, 0)
	s.serving = newServing(func() time.Time { return now })
	require.NoError(t, s.AddBackend(ctx, backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()}))
	made, err := s.Create(ctx, NewStorefront{Slug: "toys", Name: "Toys", Currency: "EUR", TimeZone: "UTC", Backend: "files"})
	require.NoError(t, err)

	_, err = s.Serving(ctx, "nobody")
	require.ErrorIs(t, err, backends.ErrNoStorefront)
	_, err = s.Serving(ctx, string(made.ID))
	require.ErrorIs(t, err, backends.ErrNoStorefront, "an id is no slug")
	got, err := s.Serving(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, made.ID, got.ID)

	suspend := func(status string) {
		require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(`UPDATE storefronts SET status = $2 WHERE id = $1`, string(made.ID), status)
			return err
		}))
	}
	suspend("suspended")
	now = now.Add(servingFresh)
	got, err = s.Serving(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, "suspended", got.Status, "noticed after five seconds")
	suspend("active")
	now = now.Add(servingFresh)
	_, err = s.Serving(ctx, "toys")
	require.NoError(t, err)

	require.NoError(t, stores.Close())
	require.NoError(t, db.Close())
	now = now.Add(time.Hour)
	got, err = s.Serving(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, made.ID, got.ID)
	_, err = s.Serving(ctx, "nobody")
	require.Error(t, err)
	require.NotErrorIs(t, err, backends.ErrNoStorefront)
}
