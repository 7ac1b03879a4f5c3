package planning_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/modules/storefronts"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/pgserver/pgtest"
)

// world is a control database with two SQLite backends, "one" and "two".
type world struct {
	db        *control.DB
	directory *backends.Directory
	stores    *backends.Stores
	router    *backends.Router
	shops     *storefronts.Service
	gatherer  *planning.Gatherer
	service   *planning.Service
	moves     *migration.Service
	options   migration.RunnerOptions // of the runner
	runner    *migration.Runner
	hour      atomic.Int64 // of the fake clock, after noon; see clock
}

// clock is fake: it stands until a test sets the hour.
func (w *world) clock() time.Time { return noon.Add(time.Duration(w.hour.Load()) * time.Hour) }

func TestMain(m *testing.M) { pgtest.Main(m) }

// onBoth runs a test on both engines that a control database may be.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, controltest.Open(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		db, err := control.Open(context.Background(), pgtest.Database(t))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		test(t, newWorld(t, db))
	})
}

func newWorld(t *testing.T, db *control.DB) *world {
	t.Helper()
	return newWorldOf(t, db, sqlite.Opener)
}

// newWorldOf has backends that are opened in a way of the test's own.
func newWorldOf(t *testing.T, db *control.DB, opener func(*backends.Catalog) backends.Opener) *world {
	t.Helper()
	ctx := context.Background()
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	catalog, err := backends.NewCatalog(append(migration.Tables(), counters)...)
	require.NoError(t, err)
	w := &world{db: db}
	w.directory = backends.NewDirectory(w.db, keys, catalog, map[backends.Kind]backends.Opener{backends.SQLite: opener(catalog)})
	for _, name := range []string{"one", "two"} {
		require.NoError(t, w.directory.Register(ctx, backends.Config{Name: name, Kind: backends.SQLite, Path: t.TempDir()}))
	}
	w.stores = backends.NewStores(w.directory, 16)
	w.router = backends.NewRouter(w.directory, w.stores, backends.RouterOptions{})
	w.shops = storefronts.NewService(w.db, w.directory, w.stores)
	w.gatherer = planning.NewGatherer(w.db, w.router.Traffic(), w.directory, w.stores, slog.New(slog.NewTextHandler(t.Output(), nil)))
	w.service = planning.NewService(w.db, w.directory)
	w.service.GoBy(w.clock)
	w.options = migration.RunnerOptions{
		DB: w.db, Directory: w.directory, Stores: w.stores, Router: w.router, Keys: keys, Clock: w.clock, TenantMigrations: 1,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	w.mover()
	t.Cleanup(func() {
		require.NoError(t, w.stores.Close())
		require.NoError(t, w.directory.Close())
	})
	return w
}

// mover makes the runner, by what its options are now.
func (w *world) mover() {
	w.runner = migration.NewRunner(w.options)
	w.moves = migration.NewService(w.db, w.directory, w.stores, w.runner)
	w.moves.ExplainBy(w.service.ExplainMove)
}

func (w *world) shop(t *testing.T, slug string) backends.StorefrontID {
	t.Helper()
	return w.shopOn(t, "one", slug)
}

func (w *world) shopOn(t *testing.T, backend, slug string) backends.StorefrontID {
	t.Helper()
	return w.shopOf(t, storefronts.NewStorefront{Slug: slug, TimeZone: "UTC", Backend: backend})
}

func (w *world) shopOf(t *testing.T, n storefronts.NewStorefront) backends.StorefrontID {
	t.Helper()
	n.Name, n.Currency = n.Slug, "EUR"
	s, err := w.shops.Create(context.Background(), n)
	require.NoError(t, err)
	return s.ID
}

func (w *world) write(t *testing.T, id backends.StorefrontID, s *backends.Statement, rows ...string) {
	t.Helper()
	require.NoError(t, w.router.Update(context.Background(), id, func(_ context.Context, tx backends.Tx) error {
		for _, row := range rows {
			if _, err := tx.Exec(s, row); err != nil {
				return err
			}
		}
		return nil
	}))
}
