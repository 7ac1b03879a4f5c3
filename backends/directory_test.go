package backends_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/storetest"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
)

// TestRegistering: what could not be opened later is refused, and nothing is kept
// of it.
func TestRegistering(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	for name, cfg := range map[string]backends.Config{
		"no folder":         {Name: "x", Kind: backends.SQLite},
		"a relative folder": {Name: "x", Kind: backends.SQLite, Path: "here"},
		"pooled files":      {Name: "x", Kind: backends.SQLite, Path: w.folder, Pooled: true},
		"an unknown kind":   {Name: "x", Kind: "tape", Path: w.folder},
		"a bad name":        {Name: "X y", Kind: backends.SQLite, Path: w.folder},
		"no name":           {Kind: backends.SQLite, Path: w.folder},
	} {
		err := w.directory.Register(ctx, cfg)
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, name)
		require.Len(t, fault.Of(err).Fields, 1, name)
	}
	same := backends.Config{Name: "files", Kind: backends.SQLite, Path: w.folder}
	require.NoError(t, w.directory.Register(ctx, same), "repeated")
	same.Host = "elsewhere"
	require.Equal(t, fault.Conflict, fault.Of(w.directory.Register(ctx, same)).Kind)
	found, err := w.directory.Configs(ctx)
	require.NoError(t, err)
	require.Len(t, found, 1)

	id := w.storefront(t)
	require.Equal(t, fault.Conflict, fault.Of(w.directory.Remove(ctx, "files")).Kind, "it holds a storefront")
	require.ErrorIs(t, w.directory.Remove(ctx, "nobody's"), backends.ErrNoBackend)
	require.NoError(t, w.visit(id))
	other := backends.Config{Name: "more-files", Kind: backends.SQLite, Path: t.TempDir()}
	require.NoError(t, w.directory.Register(ctx, other))
	require.NoError(t, w.directory.Remove(ctx, "more-files"))
	_, err = w.directory.Backend(ctx, "more-files")
	require.ErrorIs(t, err, backends.ErrNoBackend)
}

// TestSharedDatabaseHasOneName: a move from one name of it to the other would begin at
// rows that are its target's.
func TestSharedDatabaseHasOneName(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	catalog := storetest.Catalog(t)
	d := backends.NewDirectory(controltest.Open(t), keys, catalog, map[backends.Kind]backends.Opener{backends.SharedPostgres: sharedpostgres.Opener(catalog)})
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	cfg := backends.Config{
		Name: "shared", Kind: backends.SharedPostgres,
		DSN: "postgres://app@127.0.0.1:1/shops?sslmode=disable", AdminDSN: "postgres://owner@127.0.0.1:1/shops?sslmode=disable",
	}
	require.NoError(t, d.Register(ctx, cfg))
	require.NoError(t, d.Register(ctx, cfg), "repeated")
	cfg.Name = "again"
	err = d.Register(ctx, cfg)
	require.Equal(t, fault.Conflict, fault.Of(err).Kind)
	require.Contains(t, fault.Of(err).Detail, "as backend shared")
	cfg.AdminDSN = "postgres://owner@127.0.0.1:1/others?sslmode=disable"
	require.NoError(t, d.Register(ctx, cfg))
}
