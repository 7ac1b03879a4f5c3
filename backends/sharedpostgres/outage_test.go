package sharedpostgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/postgres"
	"smartseller/backends/storetest"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver"
)

// startServer starts one that a test may kill.
func startServer(t *testing.T) (*pgserver.Server, backends.Config) {
	t.Helper()
	server, err := pgserver.Start(context.Background(), pgserver.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	admin := open(t, server.AdminDSN())
	_, err = admin.Exec(`CREATE ROLE app LOGIN PASSWORD '` + server.Password() + `'`)
	require.NoError(t, err)
	return server, backends.Config{Name: "shared", Kind: backends.SharedPostgres, AdminDSN: server.AdminDSN(), DSN: server.DSN("postgres", "app")}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	server, cfg := startServer(t)
	catalog := storetest.Catalog(t)
	storetest.RunOutage(t, storetest.Subject{Backend: openBackend(t, catalog, cfg)}, catalog,
		func(backends.Place) { require.NoError(t, server.Kill()) },
		func(backends.Place) { require.NoError(t, server.Restart(context.Background())) })
}

// TestServerGoesAwayAndComesBack: what is asked meanwhile fails soon and by name,
// nothing acknowledged is lost, and the first who asks afterwards is served, over
// pools full of connections that have died.
func TestServerGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server, cfg := startServer(t)
	b, admin := openBackend(t, storetest.Catalog(t), cfg), open(t, server.AdminDSN())
	store, neighbour := placeOf(t, b), placeOf(t, b)
	other := openBackend(t, storetest.Catalog(t), cfg) // nobody has used it yet
	update := func() error {
		return store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			var v int64
			return tx.Get(&v, bump, "a")
		})
	}
	view := func() (v int64, err error) {
		return v, store.View(ctx, 1, func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, get, "a") })
	}
	var acknowledged int64
	down := func() {
		_, err := view()
		for name, err := range map[string]error{
			"update": update(), "view": err, "mover": failing(store.Backlog(ctx)), "ping": other.Ping(ctx),
			"open": opening(other.Open(ctx, backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1})),
		} {
			require.ErrorIs(t, err, backends.ErrUnreachable, name)
		}
		require.NotEmpty(t, other.Check(ctx)[0].Problem)
	}
	for _, meanwhile := range []func(){down, func() {}, down, func() {}} {
		fillPools(t, store, neighbour)
		var idle int
		require.NoError(t, admin.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'idle'`).Scan(&idle))
		require.GreaterOrEqual(t, idle, 2*postgres.Share)
		require.NoError(t, update())
		acknowledged++
		require.NoError(t, server.Kill())
		meanwhile()
		require.NoError(t, server.Restart(ctx))
		require.NoError(t, update())
		acknowledged++
		v, err := view()
		require.NoError(t, err)
		require.Equal(t, acknowledged, v)
		_, err = store.Backlog(ctx)
		require.NoError(t, err)
		require.NoError(t, other.Ping(ctx))
	}
}

func failing(_ int64, err error) error { return err }

func opening(_ backends.Store, err error) error { return err }

// fillPools leaves as many idle connections as the pools keep.
func fillPools(t *testing.T, stores ...backends.Store) {
	t.Helper()
	all := 2 * postgres.Share * len(stores)
	var entered, done sync.WaitGroup
	entered.Add(all)
	errs := make(chan error, all)
	together := func() {
		entered.Done()
		entered.Wait()
	}
	for _, store := range stores {
		for range postgres.Share {
			done.Go(func() {
				errs <- store.View(context.Background(), 1, func(context.Context, backends.Tx) error {
					together()
					return nil
				})
			})
			done.Go(func() {
				errs <- store.Read(context.Background(), func(backends.Reader) error {
					together()
					return nil
				})
			})
		}
	}
	done.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// TestConnectionBreaksInTransaction: a writer whose connection is ended is run
// again; one that is committing is told that nobody knows.
func TestConnectionBreaksInTransaction(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server, cfg := startServer(t)
	store, admin := place(t, cfg)
	runs := 0
	require.NoError(t, store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
		runs++
		var v int64
		if err := tx.Get(&v, bump, "a"); err != nil || runs > 1 {
			return err
		}
		_, err := admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`)
		require.NoError(t, err)
		return tx.Get(&v, bump, "a")
	}))
	require.Equal(t, 2, runs)
	err := store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
		var v int64
		err := tx.Get(&v, bump, "a")
		require.NoError(t, server.Kill())
		return err
	})
	require.ErrorIs(t, err, backends.ErrCommitUnknown)
	require.NoError(t, server.Restart(ctx))
	var v int64
	require.NoError(t, store.View(ctx, 1, func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, get, "a") }))
	require.EqualValues(t, 1, v, "it had not been sent")
}

// TestServerThatMayOnlyBeRead, such as a standby: readers go on, writers are told.
func TestServerThatMayOnlyBeRead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, cfg := startServer(t)
	store, admin := place(t, cfg)
	write := func() error {
		return store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			var v int64
			return tx.Get(&v, bump, "a")
		})
	}
	set := func(change string) {
		_, err := admin.Exec(`ALTER SYSTEM ` + change)
		require.NoError(t, err)
		_, err = admin.Exec(`SELECT pg_reload_conf()`)
		require.NoError(t, err)
	}
	require.NoError(t, write())
	set(`SET default_transaction_read_only = on`)
	eventually(t, func() bool { return errors.Is(write(), backends.ErrUnreachable) })
	require.NoError(t, store.View(ctx, 1, func(context.Context, backends.Tx) error { return nil }))
	set(`RESET default_transaction_read_only`)
	eventually(t, func() bool { return write() == nil })
}

// eventually waits for what another process does in its own time.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); {
		require.Less(t, time.Since(began), 20*time.Second)
	}
}
