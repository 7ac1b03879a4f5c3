package upgrades

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/backends/storetest"
	"smartseller/migrations"
	"smartseller/modules/storefronts"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/database"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fleet is a control database with two folders of SQLite files.
type fleet struct {
	*Service
	t      *testing.T
	stores *backends.Stores
	folder string
	// gate is passed by each upgrade of a file, before it begins; nil: there is none.
	gate func(ctx context.Context, p backends.Place) error
}

// gated is a folder of files whose upgrades pass the gate.
type gated struct {
	backends.Backend
	fleet *fleet
}

func (g gated) Upgrade(ctx context.Context, p backends.Place) error {
	if g.fleet.gate != nil {
		if err := g.fleet.gate(ctx, p); err != nil {
			return err
		}
	}
	return g.Backend.Upgrade(ctx, p)
}

func newFleet(t *testing.T, db *control.DB) *fleet {
	t.Helper()
	f := &fleet{t: t, folder: t.TempDir()}
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	catalog, err := backends.NewCatalog()
	require.NoError(t, err)
	directory := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{
		backends.SharedPostgres: sharedpostgres.Opener(catalog),
		backends.SQLite: func(cfg backends.Config) (backends.Backend, error) {
			b, err := sqlite.Opener(catalog)(cfg)
			return gated{b, f}, err
		},
	})
	f.stores = backends.NewStores(directory, 4)
	t.Cleanup(func() {
		f.Stop()
		require.NoError(t, f.stores.Close())
		require.NoError(t, directory.Close())
	})
	f.Service, err = NewService(db, directory, storefronts.NewService(db, directory, f.stores))
	require.NoError(t, err)
	for _, name := range []string{"files-1", "files-2"} {
		require.NoError(t, f.shops.AddBackend(context.Background(), backends.Config{Name: name, Kind: backends.SQLite, Path: filepath.Join(f.folder, name)}))
	}
	return f
}

func (f *fleet) create(slug string) storefronts.Storefront { return f.createOn("files-1", slug) }

func (f *fleet) createOn(backend, slug string) storefronts.Storefront {
	f.t.Helper()
	made, err := f.shops.Create(context.Background(), storefronts.NewStorefront{Slug: slug, Name: slug, Currency: "EUR", TimeZone: "UTC", Backend: backend})
	require.NoError(f.t, err)
	return made
}

func (f *fleet) file(p backends.Place) string {
	return filepath.Join(f.folder, p.Backend, string(p.Storefront), "1.db")
}

// age puts a place there that lacks the newest migration.
func (f *fleet) age(p backends.Place) {
	f.t.Helper()
	f.lose(p)
	all, err := migrations.Tenant(migrations.SQLite)
	require.NoError(f.t, err)
	require.NoError(f.t, os.MkdirAll(filepath.Dir(f.file(p)), 0o700))
	db, err := database.OpenSQLite(context.Background(), f.file(p), database.SQLiteOptions{Create: true})
	require.NoError(f.t, err)
	require.NoError(f.t, database.Migrate(context.Background(), db.Writer, goose.DialectSQLite3, storetest.Older(f.t, all)))
	require.NoError(f.t, db.Close())
}

func (f *fleet) lose(p backends.Place) {
	f.t.Helper()
	f.stores.Drop(p)
	for _, name := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(f.file(p) + name); err != nil {
			require.ErrorIs(f.t, err, fs.ErrNotExist)
		}
	}
}

func (f *fleet) state(p backends.Place) SchemaState {
	f.t.Helper()
	found := f.schemaOf(context.Background(), storefronts.Storefront{ID: p.Storefront, Backend: p.Backend, Made: p.Epoch}, newOnce())
	return found.State
}

// moveInto notes a move from files-2 into a place, in a phase.
func (f *fleet) moveInto(p backends.Place, phase string) (move string) {
	f.t.Helper()
	move = ids.New()
	f.exec(`INSERT INTO moves (id, storefront_id, source_backend, source_made_at_epoch, target_backend, target_made_at_epoch, source_epoch,
		phase, resume_phase, cut, intent, gen, owner, lease_until, options, stats, cause, advice, receipt, requested_by, reason, created_at, updated_at)
		VALUES ($1, $2, 'files-2', 1, $3, $4, 1, $5, '', '', '', 0, '', 0, '{}', '{}', '', '', '', '', '', 0, 0)`,
		move, string(p.Storefront), p.Backend, p.Epoch, phase)
	return move
}

// TestUpgradesOneByOne: a place that cannot be upgraded stops nobody else.
func TestUpgradesOneByOne(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	f.create("fresh")
	f.lose(f.create("lost").Place())
	f.age(f.create("old").Place())

	found, err := f.Schemas(ctx, "", 10)
	require.NoError(t, err)
	states := map[string]SchemaState{}
	for _, p := range found {
		states[p.Storefront.Slug] = p.State
	}
	require.Equal(t, map[string]SchemaState{"fresh": SchemaCurrent, "lost": SchemaUnknown, "old": SchemaBehind}, states)
	require.Equal(t, 1, found[2].Schema.Pending)
	require.Less(t, found[2].Schema.Version, found[2].Schema.Newest)
	require.Contains(t, found[1].Problem, "does not exist")

	_, err = f.UpgradeSchema(ctx, "lost")
	require.Equal(t, "place_missing", fault.Of(err).Code)
	after, err := f.UpgradeSchema(ctx, "old")
	require.NoError(t, err)
	require.Equal(t, SchemaCurrent, after.State)
	_, err = f.UpgradeSchema(ctx, "nobody")
	require.ErrorIs(t, err, backends.ErrNoStorefront)
}

// TestUpgradesDuringMoves: refused while the two places are made equal; while the
// rollback window is open, the old place is upgraded too.
func TestUpgradesDuringMoves(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	shop := f.create("toys")
	old := backends.Place{Backend: "files-2", Storefront: shop.ID, Epoch: 1}
	f.age(shop.Place())
	f.age(old)
	move := f.moveInto(shop.Place(), "")
	enter := func(phase string) {
		f.exec(`UPDATE moves SET phase = $2 WHERE id = $1`, move, phase)
	}
	for _, phase := range []string{"preparing", "copying", "catching_up", "verifying", "cutting_over", "rolling_back", "paused"} {
		enter(phase)
		_, err := f.UpgradeSchema(ctx, "toys")
		var refused *fault.Error
		require.True(t, errors.As(err, &refused), phase)
		require.Equal(t, "place_moving", refused.Code, phase)
		require.Contains(t, refused.Detail, move)
		require.Equal(t, SchemaBehind, f.state(shop.Place()), phase)
	}
	other := f.create("others")
	f.age(other.Place())
	_, err := f.UpgradeSchema(ctx, "others")
	require.NoError(t, err, "it has a place of its own")

	enter("watching")
	after, err := f.UpgradeSchema(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, SchemaCurrent, after.State)
	require.Equal(t, SchemaCurrent, f.state(old))

	// An old place that is away holds up no upgrade of the new one, nor of who shares it.
	f.age(shop.Place())
	away := filepath.Join(f.folder, "files-2")
	require.NoError(t, os.Rename(away, away+".away"))
	after, err = f.UpgradeSchema(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, SchemaCurrent, after.State)
}

// TestStatusShowsNoTextOfADriver, which may name addresses; what is meant for operators it
// shows in whole.
func TestStatusShowsNoTextOfADriver(t *testing.T) {
	t.Parallel()
	driver := errors.New("dial tcp 10.0.0.7:5432: no route")
	for want, err := range map[string]error{
		"":                                      nil,
		"lives on host far: ask a server there": &backends.Elsewhere{Backend: "files", Host: "far", Here: "near"},
		"the backend does not answer; see: smartseller doctor":                      fmt.Errorf("%w: %w", backends.ErrUnreachable, driver),
		"the schema cannot be read; see: smartseller doctor":                        fmt.Errorf("open backend pg: %w", driver),
		"One or more values are not acceptable; see errors. /dsn: names no server.": fmt.Errorf("open backend pg: %w", fault.InvalidField("/dsn", "invalid_dsn", "names no server")),
		control.ErrAway.Detail: control.ErrAway.Because(driver),
	} {
		require.Equal(t, want, problemOf(err).text)
	}
}

// TestStatusOfABackendThatCannotBeOpened says so without the cause, in whose text anything may be.
func TestStatusOfABackendThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	f := newFleet(t, controltest.Open(t))
	f.putOn("nowhere", "homeless")
	f.createOn("files-2", "locked")
	f.exec(`UPDATE backends SET config = $1 WHERE name = 'files-2'`, []byte("sealed with another key"))
	found, err := f.Schemas(context.Background(), "", 10)
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, []SchemaState{SchemaUnknown, SchemaUnknown}, []SchemaState{found[0].State, found[1].State})
	require.Equal(t, backends.ErrNoBackend.Detail, found[0].Problem)
	require.Equal(t, "the schema cannot be read; see: smartseller doctor", found[1].Problem)
}
