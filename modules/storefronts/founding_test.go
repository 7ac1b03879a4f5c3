package storefronts

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/backends/storetest"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// yard has a backend of each kind that tells what is left in it.
type yard struct {
	*Service
	db     *control.DB
	folder string
	shared *sql.DB // the owner's
}

func newYard(t *testing.T, db *control.DB) *yard {
	t.Helper()
	ctx := context.Background()
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	catalog := storetest.Catalog(t)
	directory := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{
		backends.SQLite: sqlite.Opener(catalog), backends.SharedPostgres: sharedpostgres.Opener(catalog),
	})
	stores := backends.NewStores(directory, 8)
	t.Cleanup(func() {
		require.NoError(t, stores.Close())
		require.NoError(t, directory.Close())
	})
	y := &yard{Service: NewService(db, directory, stores), db: db, folder: t.TempDir()}
	require.NoError(t, y.AddBackend(ctx, backends.Config{Name: "files", Kind: backends.SQLite, Path: y.folder}))
	admin := pgtest.Database(t)
	require.NoError(t, y.AddBackend(ctx, backends.Config{Name: "shared", Kind: backends.SharedPostgres, AdminDSN: admin, DSN: pgtest.Role(t, admin, "")}))
	y.shared, err = sql.Open("postgres", admin)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, y.shared.Close()) })
	return y
}

func toys(backend string) NewStorefront {
	return NewStorefront{Slug: "toys", Name: "Toys", Currency: "EUR", TimeZone: "UTC", Backend: backend}
}

// places are the ids of the storefronts that have anything on a backend.
func (y *yard) places(t *testing.T, backend string) (ids []string) {
	t.Helper()
	if backend == "files" {
		entries, err := os.ReadDir(y.folder)
		require.NoError(t, err)
		for _, e := range entries {
			if e.IsDir() { // beside them lies the folder's own name
				ids = append(ids, e.Name())
			}
		}
		return ids
	}
	tables, err := y.shared.Query(`SELECT table_name FROM information_schema.columns WHERE column_name = 'storefront_id' AND table_schema = 'public'`)
	require.NoError(t, err)
	defer tables.Close()
	var union string
	for tables.Next() {
		var name string
		require.NoError(t, tables.Scan(&name))
		if union != "" {
			union += " UNION "
		}
		union += "SELECT storefront_id FROM " + name
	}
	require.NoError(t, tables.Err())
	if union == "" {
		return nil // the schema was never made
	}
	found, err := y.shared.Query(union)
	require.NoError(t, err)
	defer found.Close()
	for found.Next() {
		var id string
		require.NoError(t, found.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, found.Err())
	return ids
}

// requireOnly holds that a storefront's place is the only one, and that nothing is
// being made any more.
func (y *yard) requireOnly(t *testing.T, s Storefront) {
	t.Helper()
	for _, backend := range []string{"files", "shared"} {
		var want []string
		if backend == s.Backend {
			want = []string{string(s.ID)}
		}
		require.Equal(t, want, y.places(t, backend), backend)
	}
	require.Zero(t, y.count(t, "foundings"))
}

func (y *yard) count(t *testing.T, table string) (n int64) {
	t.Helper()
	require.NoError(t, y.db.View(context.Background(), func(_ context.Context, tx control.Tx) error {
		return tx.Get(&n, `SELECT count(*) FROM `+table)
	}))
	return n
}

// TestLostRaceLeavesNothing: both have found the slug free and made their places, on
// one backend and on different ones.
func TestLostRaceLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, race := range [][2]string{{"files", "files"}, {"files", "shared"}, {"shared", "shared"}, {"shared", "files"}} {
		t.Run(race[0]+" and "+race[1], func(t *testing.T) {
			t.Parallel()
			y := newYard(t, controltest.Open(t))
			first, second := toys(race[0]).begun(), toys(race[1]).begun()
			require.NoError(t, y.begin(ctx, first))
			require.NoError(t, y.begin(ctx, second))
			require.NoError(t, y.found(ctx, first.placement()))
			require.NoError(t, y.finish(ctx, &second))
			require.ErrorIs(t, y.finish(ctx, &first), ErrSlugTaken)
			y.requireOnly(t, second)
		})
	}
}

// TestManyWantOneSlug at once: one has it, and nothing of the others is left.
func TestManyWantOneSlug(t *testing.T) {
	t.Parallel()
	db, err := control.Open(context.Background(), pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	y := newYard(t, db)
	var all sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		all.Go(func() { _, results[i] = y.Create(context.Background(), toys([]string{"files", "shared"}[i%2])) })
	}
	all.Wait()
	losers := 0
	for _, err := range results {
		if err != nil {
			require.ErrorIs(t, err, ErrSlugTaken)
			losers++
		}
	}
	require.Equal(t, len(results)-1, losers)
	made, err := y.Find(context.Background(), "toys")
	require.NoError(t, err)
	y.requireOnly(t, made)
}

// TestPlacesOfTheDead: who made them was killed before the storefront began, at
// several moments. They are removed, and the slug is free.
func TestPlacesOfTheDead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	y := newYard(t, controltest.Open(t))
	for _, backend := range []string{"files", "shared"} {
		killed := toys(backend).begun()
		require.NoError(t, y.begin(ctx, killed), "before anything was made")
		killed = toys(backend).begun()
		require.NoError(t, y.begin(ctx, killed))
		require.NoError(t, y.found(ctx, killed.placement()))
	}
	half := toys("files").begun()
	require.NoError(t, y.begin(ctx, half))
	require.NoError(t, os.Mkdir(filepath.Join(y.folder, string(half.ID)), 0o700))
	late := toys("files").begun()
	require.NoError(t, y.begin(ctx, late))

	require.NoError(t, y.Tidy(ctx))
	require.EqualValues(t, 6, y.count(t, "foundings"), "they may be in the making")
	require.NoError(t, y.GiveUp(ctx, "other"))
	require.EqualValues(t, 6, y.count(t, "foundings"), "those of another slug")
	require.NoError(t, y.GiveUp(ctx, "toys"))
	require.Zero(t, y.count(t, "foundings"))
	require.ErrorIs(t, y.finish(ctx, &late), errGivenUp, "it was not dead at all")
	require.Empty(t, y.places(t, "files"))
	require.Empty(t, y.places(t, "shared"))

	made, err := y.Create(ctx, toys("shared"))
	require.NoError(t, err)
	require.NoError(t, y.GiveUp(ctx, "toys"), "what has begun stays")
	found, err := y.Find(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, made, found)
	y.requireOnly(t, made)
}

// TestTidyTakesWhatIsOld: until then nobody may forget the backends.
func TestTidyTakesWhatIsOld(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	y := newYard(t, controltest.Open(t))
	old, gone := toys("shared").begun(), toys("files").begun()
	for _, s := range []Storefront{old, gone} {
		require.NoError(t, y.begin(ctx, s))
		require.NoError(t, y.found(ctx, s.placement()))
	}
	require.ErrorContains(t, y.RemoveBackend(ctx, "files", false), "backend_in_use")
	require.NoError(t, y.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE foundings SET begun_at = begun_at - $1`, foundWithin.Microseconds())
		return err
	}))
	require.NoError(t, y.Tidy(ctx))
	require.Zero(t, y.count(t, "foundings"))
	require.Empty(t, y.places(t, "shared"))
	require.Empty(t, y.places(t, "files"))
	require.NoError(t, y.RemoveBackend(ctx, "files", false))
}

// TestOneFolderHasOneName, whoever registers it at the same moment at whichever instance.
func TestOneFolderHasOneName(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn, folder := pgtest.Database(t), t.TempDir()
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	catalog := storetest.Catalog(t)
	var all sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		db, err := control.Open(ctx, dsn)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		d := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{backends.SQLite: sqlite.Opener(catalog)})
		t.Cleanup(func() { require.NoError(t, d.Close()) })
		all.Go(func() {
			results[i] = d.Register(ctx, backends.Config{Name: "files-" + strconv.Itoa(i), Kind: backends.SQLite, Path: folder})
		})
	}
	all.Wait()
	refused := 0
	for _, err := range results {
		if err != nil {
			require.Equal(t, "backend_exists", fault.Of(err).Code, "%v", err)
			refused++
		}
	}
	require.Equal(t, len(results)-1, refused)
}
