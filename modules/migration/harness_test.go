package migration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
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

func TestMain(m *testing.M) { pgtest.Main(m) }

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
	bump       = backends.Write(counters, `UPDATE counters SET value = value + 1 WHERE storefront_id = $1 AND id = $2 RETURNING value`)
	drop       = backends.Write(counters, `DELETE FROM counters WHERE storefront_id = $1 AND id = $2`)
	getCounter = backends.Read(`SELECT value FROM counters WHERE storefront_id = $1 AND id = $2`)
	ghosts     = backends.Read(`SELECT count(*) FROM counters WHERE storefront_id = $1 AND value < 0`)
	addToken   = backends.Write(tokens, `INSERT INTO one_time_tokens (storefront_id, id, customer_id, purpose, token_hash, email_key, created_at, expires_at)
		VALUES ($1, $2, '', '', $3, '', 0, 0)`)
)

// world is what instances share: the control database and the places.
type world struct {
	dsn    string
	folder string
	keys   *crypto.Keyring
	// The servers of the Postgres backends; empty: only files.
	sharedDSN, sharedAdminDSN, serverDSN string
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
	return &world{dsn: "sqlite:" + filepath.Join(folder, "control.db"), folder: folder, keys: keys}
}

// newWideWorld has every kind of backend.
func newWideWorld(t *testing.T) *world {
	w := newWorld(t)
	w.serverDSN = pgtest.ServerDSN(t)
	w.sharedAdminDSN = pgtest.Database(t)
	w.sharedDSN = pgtest.Role(t, w.sharedAdminDSN, "")
	return w
}

func (w *world) configs() []backends.Config {
	out := []backends.Config{
		{Name: "one", Kind: backends.SQLite, Path: filepath.Join(w.folder, "one")},
		{Name: "two", Kind: backends.SQLite, Path: filepath.Join(w.folder, "two")},
	}
	if w.serverDSN != "" {
		out = append(out,
			backends.Config{Name: "shared", Kind: backends.SharedPostgres, DSN: w.sharedDSN, AdminDSN: w.sharedAdminDSN},
			backends.Config{Name: "dedicated", Kind: backends.DedicatedPostgres, AdminDSN: w.serverDSN})
	}
	return out
}

func (w *world) instance(t *testing.T, hook func(context.Context, string) error, gates ...Gate) *instance {
	ctx := context.Background()
	catalog, err := backends.NewCatalog(append(Tables(), counters, tokens)...)
	require.NoError(t, err)
	i := &instance{}
	i.db, err = control.Open(ctx, w.dsn)
	require.NoError(t, err)
	i.directory = backends.NewDirectory(i.db, w.keys, catalog, map[backends.Kind]backends.Opener{
		backends.SQLite:            sqlite.Opener(catalog),
		backends.SharedPostgres:    sharedpostgres.Opener(catalog),
		backends.DedicatedPostgres: dedicatedpostgres.Opener(catalog, w.keys),
	})
	for _, cfg := range w.configs() {
		require.NoError(t, i.directory.Register(ctx, cfg))
	}
	i.stores = backends.NewStores(i.directory, 16)
	i.router = backends.NewRouter(i.directory, i.stores, backends.RouterOptions{ParkBudget: 10 * time.Second})
	i.runner = NewRunner(RunnerOptions{
		DB: i.db, Directory: i.directory, Stores: i.stores, Router: i.router, Keys: w.keys, Gates: gates,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Lease: time.Second, Hook: hook,
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
	ctx := context.Background()
	id := backends.StorefrontID(ids.New())
	at := backends.Placement{Place: backends.Place{Backend: "one", Storefront: id, Epoch: 1}, Epoch: 1}
	b, err := i.directory.Backend(ctx, "one")
	require.NoError(t, err)
	require.NoError(t, b.Ping(ctx))
	require.NoError(t, b.Create(ctx, at.Place))
	s, release, err := i.stores.Acquire(ctx, at.Place)
	require.NoError(t, err)
	defer release()
	require.NoError(t, s.Found(ctx, 1))
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return i.directory.Settle(tx, at) }))
	require.NoError(t, i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
		for n := range rows {
			if _, err := tx.Exec(addCounter, fmt.Sprintf("row-%06d", n), n); err != nil {
				return err
			}
		}
		return nil
	}))
	return id
}

// waitFor waits until the move is in one of the phases.
func (i *instance) waitFor(t *testing.T, id string, phases ...Phase) *Move {
	t.Helper()
	var last *Move
	require.Eventually(t, func() bool {
		m, err := i.service.Get(context.Background(), id)
		require.NoError(t, err)
		last = m
		for _, p := range phases {
			if m.Phase == p {
				return true
			}
		}
		return m.EndedAt != nil
	}, waitLong, 10*time.Millisecond, "waiting for %v: %v", phases, story{i, id})
	require.Contains(t, phases, last.Phase, "cause: %s", last.Cause)
	return last
}

// load writes to a storefront all the time and keeps a journal of what was
// acknowledged. Every writer has rows of its own, so the end is exactly known.
type load struct {
	store      backends.TenantStore
	storefront backends.StorefrontID
	stopped    chan struct{}
	done       sync.WaitGroup
	failures   atomic.Int64
	requests   atomic.Int64
	firstError atomic.Value

	mu      sync.Mutex
	journal map[string]int64
}

const loadWriters = 4

func startLoad(store backends.TenantStore, id backends.StorefrontID) *load {
	l := &load{store: store, storefront: id, stopped: make(chan struct{}), journal: map[string]int64{}}
	for n := range loadWriters {
		l.done.Go(func() { l.write(fmt.Sprintf("writer-%d", n)) })
	}
	return l
}

// write adds, counts up, and adds and deletes a row that must stay deleted.
func (l *load) write(row string) {
	pace := time.NewTicker(20 * time.Millisecond) // a steady load, below what a mover can follow, also under the race detector
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-l.stopped:
			return
		case <-pace.C:
		}
		l.requests.Add(1)
		var v int64
		err := l.store.Update(context.Background(), l.storefront, func(_ context.Context, tx backends.Tx) error {
			if n == 0 {
				_, err := tx.Exec(addCounter, row, 1)
				v = 1
				return err
			}
			if err := tx.Get(&v, bump, row); err != nil {
				return err
			}
			ghost := fmt.Sprintf("ghost-%s-%d", row, n)
			if _, err := tx.Exec(addToken, ids.New(), []byte(ghost)); err != nil {
				return err
			}
			_, err := tx.Exec(addCounter, ghost, -1)
			return err
		})
		if err == nil && n > 0 {
			err = l.store.Update(context.Background(), l.storefront, func(_ context.Context, tx backends.Tx) error {
				_, err := tx.Exec(drop, fmt.Sprintf("ghost-%s-%d", row, n))
				return err
			})
		}
		if err == nil {
			// A read that begins after the acknowledgement must see it.
			var seen int64
			err = l.store.View(context.Background(), l.storefront, func(_ context.Context, tx backends.Tx) error { return tx.Get(&seen, getCounter, row) })
			if err == nil && seen != v {
				err = fmt.Errorf("read %d after %d was acknowledged", seen, v)
			}
		}
		if err != nil {
			l.failures.Add(1)
			l.firstError.CompareAndSwap(nil, err.Error())
			return
		}
		l.mu.Lock()
		l.journal[row] = v
		l.mu.Unlock()
	}
}

// check stops the load and compares journal and data.
func (l *load) check(t *testing.T, store backends.TenantStore) {
	t.Helper()
	close(l.stopped)
	l.done.Wait()
	require.Zero(t, l.failures.Load(), "a request failed: %v", l.firstError.Load())
	require.Len(t, l.journal, loadWriters)
	require.NoError(t, store.View(context.Background(), l.storefront, func(_ context.Context, tx backends.Tx) error {
		for row, want := range l.journal {
			var got int64
			require.NoError(t, tx.Get(&got, getCounter, row))
			require.Equal(t, want, got, row)
		}
		var undead int64
		require.NoError(t, tx.Get(&undead, ghosts))
		require.Zero(t, undead, "deleted rows came back")
		return nil
	}))
}

const (
	waitLong = 60 * time.Second
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
