package migration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/dedicatedpostgres"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(holderVariable); file != "" {
		holdFile(file)
	}
	pgtest.Main(m)
}

var (
	counters = &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	tokens   = &backends.Table{
		Name: "one_time_tokens",
		Columns: []backends.Column{
			backends.T("id"), backends.T("customer_id"), backends.T("purpose"), backends.B("token_hash"), backends.T("email_key"),
			backends.I("created_at"), backends.I("expires_at"), backends.NI("used_at"),
		},
		Uniques: []backends.Unique{{Name: "one_time_tokens_hash", Columns: []string{"token_hash"}}},
	}

	addCounter = backends.Write(counters, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, $3)`)
	dropOne    = backends.Write(counters, `DELETE FROM counters WHERE storefront_id = $1 AND id = $2`)
	countUp    = backends.Write(counters, `UPDATE counters SET value = value + 1 WHERE storefront_id = $1 AND id = $2`)
)

// world is what instances share: the control database and the places.
type world struct {
	dsn    string
	folder string
	keys   *crypto.Keyring
	wide   bool // servers too, not only files
	// own, if set, is a shared database of this world alone, backend "own".
	own struct{ admin, app string }

	// Of the instances that are made next: the way to the backends, and what is put
	// around their stores.
	reach func(backends.Config) backends.Config
	ear   *ear // hears what they warn of
	wrap  func(backends.Store) backends.Store
	// strain is what all servers suffer; nil: what they say themselves.
	strain func() backends.Strain
	clock  func() time.Time // that windows go by
	// tables are what moves, if it is not what the other tests need.
	tables []*backends.Table
	audit  time.Duration // how often both places are compared in the rollback window
	sweep  time.Duration // how often what was left behind is looked at
}

// instance is one process of the platform, as far as moves need one.
type instance struct {
	db        *control.DB
	directory *backends.Directory
	stores    *backends.Stores
	router    *backends.Router
	runner    *Runner
	service   *Service
	stop      func()
}

func newWorld(t *testing.T) *world {
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	folder := t.TempDir()
	for _, name := range []string{"one", "two"} {
		require.NoError(t, os.Mkdir(filepath.Join(folder, name), 0o700))
	}
	return &world{dsn: "sqlite:" + filepath.Join(folder, "control.db"), folder: folder, keys: keys}
}

// newWideWorld has every kind of backend twice.
func newWideWorld(t *testing.T) *world {
	w := newWorld(t)
	w.wide = true
	databases.once.Do(func() {
		for n := range databases.shared {
			databases.shared[n].admin, databases.shared[n].app = pgtest.LastingDatabase(t)
		}
		databases.server = pgtest.ServerDSN(t)
	})
	return w
}

// databases are what all worlds share: a shared database has many storefronts anyway.
var databases struct {
	once   sync.Once
	shared [2]struct{ admin, app string }
	server string
}

func (w *world) configs() []backends.Config {
	out := []backends.Config{
		{Name: "one", Kind: backends.SQLite, Path: filepath.Join(w.folder, "one")},
		{Name: "two", Kind: backends.SQLite, Path: filepath.Join(w.folder, "two")},
	}
	if w.own.admin != "" {
		out = append(out, backends.Config{Name: "own", Kind: backends.SharedPostgres, DSN: w.own.app, AdminDSN: w.own.admin})
	}
	if !w.wide {
		return out
	}
	for n, suffix := range []string{"", "-2"} {
		out = append(out,
			backends.Config{Name: "shared" + suffix, Kind: backends.SharedPostgres, DSN: databases.shared[n].app, AdminDSN: databases.shared[n].admin},
			backends.Config{Name: "dedicated" + suffix, Kind: backends.DedicatedPostgres, AdminDSN: databases.server})
	}
	return out
}

func (w *world) instance(t *testing.T, hook func(context.Context, string) error, gates ...Gate) *instance {
	ctx := context.Background()
	tables := append(Tables(), counters, tokens)
	if w.tables != nil {
		tables = w.tables
	}
	catalog, err := backends.NewCatalog(tables...)
	require.NoError(t, err)
	i := &instance{}
	i.db, err = control.Open(ctx, w.dsn)
	require.NoError(t, err)
	i.directory = backends.NewDirectory(i.db, w.keys, catalog, map[backends.Kind]backends.Opener{
		backends.SQLite:            w.opener(sqlite.Opener(catalog)),
		backends.SharedPostgres:    w.opener(sharedpostgres.Opener(catalog)),
		backends.DedicatedPostgres: w.opener(dedicatedpostgres.Opener(catalog, w.keys)),
	})
	for _, cfg := range w.configs() {
		require.NoError(t, i.directory.Register(ctx, cfg))
	}
	i.stores = backends.NewStores(i.directory, 16)
	i.router = backends.NewRouter(i.directory, i.stores, backends.RouterOptions{ParkBudget: 10 * time.Second})
	i.runner = NewRunner(RunnerOptions{
		DB: i.db, Directory: i.directory, Stores: i.stores, Router: i.router, Keys: w.keys, Gates: gates,
		Log: slog.New(w.listen(slog.NewTextHandler(t.Output(), nil))), Lease: time.Second, Clock: w.clock, AuditEvery: w.audit, SweepEvery: w.sweep, Hook: hook,
	})
	i.service = NewService(i.db, i.directory, i.stores, i.runner)
	i.runner.Start()
	i.stop = sync.OnceFunc(func() {
		i.runner.Stop()
		assert.NoError(t, errors.Join(i.stores.Close(), i.directory.Close(), i.db.Close()))
	})
	t.Cleanup(i.stop)
	return i
}

// storefront founds a storefront with some rows on backend one.
func (i *instance) storefront(t *testing.T, rows int) backends.StorefrontID {
	return i.storefrontOn(t, "one", rows)
}

func (i *instance) storefrontOn(t *testing.T, backend string, rows int) backends.StorefrontID {
	ctx := context.Background()
	id := backends.StorefrontID(ids.New())
	at := backends.Placement{Place: backends.Place{Backend: backend, Storefront: id, Epoch: 1}, Epoch: 1}
	b, err := i.directory.Backend(ctx, backend)
	require.NoError(t, err)
	require.NoError(t, b.Ping(ctx))
	require.NoError(t, b.Create(ctx, at.Place))
	s, release, err := i.stores.Acquire(ctx, at.Place)
	require.NoError(t, err)
	defer release()
	require.NoError(t, s.Found(ctx, 1))
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return i.directory.Settle(tx, at) }))
	require.NoError(t, i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
		many := make([][]any, rows)
		for n := range many {
			many[n] = []any{fmt.Sprintf("row-%06d", n), n}
		}
		_, err := tx.ExecMany(addCounter, many)
		return err
	}))
	return id
}

// store opens a place until the test ends.
func (i *instance) store(t *testing.T, p backends.Place) backends.Store {
	s, release, err := i.stores.Acquire(context.Background(), p)
	require.NoError(t, err)
	t.Cleanup(release)
	return s
}

// notebook is a log whose messages a test can count.
type notebook struct {
	slog.Handler
	mu   sync.Mutex
	said []string
}

// writesDown has what the instance's runner says from now on written down. It is stopped
// for that, and the test starts it again.
func (i *instance) writesDown() *notebook {
	i.runner.Stop()
	n := &notebook{Handler: i.runner.log.Handler()}
	i.runner.log = slog.New(n)
	return n
}

// Enabled: a test may ask for what a log would leave out.
func (n *notebook) Enabled(context.Context, slog.Level) bool { return true }

func (n *notebook) Handle(ctx context.Context, r slog.Record) error {
	n.mu.Lock()
	n.said = append(n.said, r.Level.String()+": "+r.Message)
	n.mu.Unlock()
	if !n.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return n.Handler.Handle(ctx, r)
}

func (n *notebook) count(text string) (times int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.said {
		if strings.Contains(s, text) {
			times++
		}
	}
	return times
}

// waitFor waits until the move is in one of the phases.
func (i *instance) waitFor(t *testing.T, id string, phases ...Phase) *Move {
	t.Helper()
	var last *Move
	require.Eventually(t, func() bool {
		m, err := i.service.Get(context.Background(), id)
		if errors.Is(err, control.ErrAway) { // for a moment, as these tests have it
			return false
		}
		require.NoError(t, err)
		last = m
		for _, p := range phases {
			if m.Phase == p {
				return true
			}
		}
		return m.EndedAt != nil
	}, waitLong, 4*waitStep, "waiting for %v: %v", phases, story{i, id})
	require.Contains(t, phases, last.Phase, "cause: %s", last.Cause)
	return last
}

// happens waits for a channel to be closed.
func happens(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(waitLong):
		require.FailNow(t, "waited in vain", what)
	}
}

const (
	waitLong = 3 * time.Minute
	waitStep = 5 * time.Millisecond
)

// story prints a move's events, when a test wants to say why it failed.
type story struct {
	i  *instance
	id string
}

func (s story) String() string {
	events, err := s.i.service.Events(context.Background(), s.id, 0, 1000)
	m, moved := s.i.service.Get(context.Background(), s.id)
	return fmt.Sprintf("%+v %v %+v %v", events, err, m, moved)
}
