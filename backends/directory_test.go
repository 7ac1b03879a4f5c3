package backends_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/backends/storetest"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
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
	require.Equal(t, fault.Conflict, fault.Of(w.directory.Remove(ctx, "files", false)).Kind, "it holds a storefront")
	require.ErrorIs(t, w.directory.Remove(ctx, "nobody's", false), backends.ErrNoBackend)
	require.NoError(t, w.visit(id))
	other := backends.Config{Name: "more-files", Kind: backends.SQLite, Path: t.TempDir()}
	require.NoError(t, w.directory.Register(ctx, other))
	require.NoError(t, w.directory.Remove(ctx, "more-files", false))
	_, err = w.directory.Backend(ctx, "more-files")
	require.ErrorIs(t, err, backends.ErrNoBackend)
}

// TestWhereAStorefrontIs is a fact, and so is where it was; where it will be is none.
func TestWhereAStorefrontIs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	id := backends.StorefrontID(ids.New())
	w.settle(t, id)
	is, err := w.directory.Is(ctx, id)
	require.NoError(t, err)
	require.Equal(t, backends.Stay{Placement: backends.Placement{Place: place(id), Epoch: 1}, Since: is.Since}, is)
	was, err := w.directory.Was(ctx, id, is.Since)
	require.NoError(t, err)
	require.Equal(t, is, was)
	for _, early := range []int64{is.Since - 1, time.Time{}.UnixMicro()} {
		_, err = w.directory.Was(ctx, id, early)
		require.ErrorIs(t, err, backends.ErrNotYetPlaced)
	}
	_, err = w.directory.Was(ctx, id, is.Since+time.Hour.Microseconds())
	require.Equal(t, fault.Invalid, fault.Of(err).Kind, "%v", err)
	require.Equal(t, "at", fault.Of(err).Fields[0].Parameter)
	_, err = w.directory.Is(ctx, "nobody")
	require.ErrorIs(t, err, backends.ErrNoStorefront)
	_, err = w.directory.Was(ctx, "nobody", is.Since)
	require.ErrorIs(t, err, backends.ErrNoStorefront)
}

// TestRegisteredAnew: a backend that another instance removes, and registers anew as
// something else, is at once what it is now.
func TestRegisteredAnew(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	other := w.newDirectory(t)
	settle := func() error {
		return w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			return w.directory.Settle(tx, backends.Placement{Place: place(backends.StorefrontID(ids.New())), Epoch: 1})
		})
	}
	open, err := w.directory.Backend(ctx, "files")
	require.NoError(t, err)
	again, err := w.directory.Backend(ctx, "files")
	require.NoError(t, err)
	require.Same(t, open, again)

	require.NoError(t, other.Remove(ctx, "files", false))
	require.ErrorIs(t, settle(), backends.ErrNoBackend)
	anew := backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()}
	require.NoError(t, other.Register(ctx, anew))
	require.Equal(t, fault.Conflict, fault.Of(settle()).Kind, "the place was made on the old one")
	id := w.storefront(t)
	require.NoError(t, w.visit(id))
	require.NoDirExists(t, filepath.Join(w.folder, string(id)))
	require.DirExists(t, filepath.Join(anew.Path, string(id)))
	require.Equal(t, fault.Conflict, fault.Of(other.Remove(ctx, "files", false)).Kind)

	require.NoError(t, other.Register(ctx, backends.Config{Name: "spare", Kind: backends.SQLite, Path: t.TempDir()}))
	_, err = w.directory.Backend(ctx, "spare")
	require.NoError(t, err)
	require.NoError(t, other.Remove(ctx, "spare", false))
	_, err = w.directory.Backend(ctx, "spare")
	require.ErrorIs(t, err, backends.ErrNoBackend)

	require.NoError(t, w.db.Close())
	_, err = w.directory.Backend(ctx, "files")
	require.NoError(t, err, "while the control database is away, it is what it was")
}

// TestSharedDatabaseHasOneName: a move from one name of it to the other would begin at
// rows that are its target's.
func TestSharedDatabaseHasOneName(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	catalog := storetest.Catalog(t)
	db := controltest.Open(t)
	d := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{backends.SharedPostgres: sharedpostgres.Opener(catalog)})
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	cfg := backends.Config{
		Name: "shared", Kind: backends.SharedPostgres,
		DSN: "postgres://app@127.0.0.1:1/shops?sslmode=disable", AdminDSN: "postgres://owner@127.0.0.1:1/shops?sslmode=disable",
	}
	require.NoError(t, d.Register(ctx, cfg))
	require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE backends SET shared = 0`) // as a program that does not know of it leaves it
		return err
	}))
	require.NoError(t, d.Register(ctx, cfg), "repeated")
	require.NoError(t, db.View(ctx, func(_ context.Context, tx control.Tx) error {
		var shared int64
		err := tx.Get(&shared, `SELECT shared FROM backends`)
		require.EqualValues(t, 1, shared)
		return err
	}))
	cfg.Name = "again"
	err = d.Register(ctx, cfg)
	require.Equal(t, fault.Conflict, fault.Of(err).Kind)
	require.Contains(t, fault.Of(err).Detail, "as backend shared")
	cfg.AdminDSN = "postgres://owner@127.0.0.1:1/others?sslmode=disable"
	require.NoError(t, d.Register(ctx, cfg))
}

// TestFoldersLieApart: a move between two names of one folder would stay where it began.
func TestFoldersLieApart(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	require.NoError(t, w.directory.Register(ctx, backends.Config{Name: "beside", Kind: backends.SQLite, Path: w.folder + "-2"}))
	for _, path := range []string{w.folder, w.folder + "/", filepath.Join(w.folder, "in"), filepath.Dir(w.folder)} {
		err := w.directory.Register(ctx, backends.Config{Name: "more", Kind: backends.SQLite, Path: path})
		require.Equal(t, fault.Conflict, fault.Of(err).Kind, path)
		require.Contains(t, fault.Of(err).Detail, "keeps its files there")
	}
}

// TestSharedFoldersAreToldApart: a kind that keeps storefronts together in files has no DSN.
func TestSharedFoldersAreToldApart(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	catalog := storetest.Catalog(t)
	db := controltest.Open(t)
	d := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{
		backends.SQLite: func(cfg backends.Config) (backends.Backend, error) {
			b, err := sqlite.Opener(catalog)(cfg)
			return together{b}, err
		},
	})
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	cfg := backends.Config{Name: "one", Kind: backends.SQLite, Path: t.TempDir(), Host: "here"}
	require.NoError(t, d.Register(ctx, cfg))
	cfg.Name = "again"
	err = d.Register(ctx, cfg)
	require.Equal(t, fault.Conflict, fault.Of(err).Kind)
	require.Contains(t, fault.Of(err).Detail, "Backend one keeps its files there")
	cfg.Host = "elsewhere"
	require.NoError(t, d.Register(ctx, cfg))
	require.NoError(t, d.Register(ctx, backends.Config{Name: "two", Kind: backends.SQLite, Path: t.TempDir(), Host: "here"}))
	require.NoError(t, d.Register(ctx, backends.Config{Name: "anywhere", Kind: backends.SQLite, Path: t.TempDir()}))
	require.NoError(t, db.View(ctx, func(_ context.Context, tx control.Tx) error {
		hosts, err := d.Hosts(tx)
		require.Equal(t, map[string]string{"one": "here", "again": "elsewhere", "two": "here"}, hosts)
		return err
	}))
}

// together is a backend whose places share one database.
type together struct{ backends.Backend }

func (together) Shared() bool { return true }
