package dedicatedpostgres_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/dedicatedpostgres"
	"smartseller/backends/storetest"
	"smartseller/platform/crypto"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver"
)

// TestSmallServer: more storefronts than the server has connections for are all served at
// once, by those that others leave idle, and the administrator still gets in.
func TestSmallServer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server, err := pgserver.Start(ctx, pgserver.Options{Settings: map[string]string{"max_connections": "20"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	b, err := dedicatedpostgres.Opener(storetest.Catalog(t), keys)(backends.Config{
		Name: "small", Kind: backends.DedicatedPostgres, AdminDSN: server.AdminDSN(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	counters := &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	add := backends.Write(counters, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, $3)`)
	count := backends.Read(`SELECT count(*) FROM counters WHERE storefront_id = $1`)

	var shops []backends.Store
	for range 6 {
		p := backends.Place{Backend: "small", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
		require.NoError(t, b.Create(ctx, p))
		s, err := b.Open(ctx, p)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		require.NoError(t, s.Found(ctx, 1))
		require.NoError(t, s.Prepare(ctx))
		shops = append(shops, s)
	}
	const customers, each = 5, 10
	watch, err := sql.Open("postgres", server.AdminDSN())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, watch.Close()) })
	var wg sync.WaitGroup
	errs := make(chan error, customers*len(shops))
	for _, s := range shops {
		for range customers {
			wg.Go(func() {
				for range each {
					err := s.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
						_, err := tx.Exec(add, ids.New(), 1)
						return err
					})
					_, moving := s.Backlog(ctx)
					if err = errors.Join(err, moving); err != nil {
						errs <- err
						return
					}
				}
			})
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for _, s := range shops {
		var n int
		require.NoError(t, s.Get(ctx, 1, &n, count))
		require.Equal(t, customers*each, n)
	}
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, watch.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'ss_%'`).Scan(&open))
		return open <= 8
	}, 10*time.Second, 10*time.Millisecond, "half of what the server gives, once those are gone that were being closed")

	// Moves that hold all that they may, for as long as they like, leave some to customers.
	holding, release := make(chan error, len(shops)), make(chan struct{})
	for _, s := range shops {
		wg.Go(func() {
			holding <- s.Read(ctx, func(backends.Reader) error {
				holding <- nil
				<-release
				return nil
			})
		})
	}
	for range shops {
		require.NoError(t, <-holding, "six of eight")
	}
	const tooMany = "one more"
	wg.Go(func() {
		err := shops[0].Read(ctx, func(backends.Reader) error { return errors.New(tooMany) })
		holding <- err
	})
	for _, s := range shops {
		require.NoError(t, s.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(add, ids.New(), 1)
			return err
		}))
	}
	require.ErrorIs(t, <-holding, backends.ErrContended, "a move waits its time, and is told")
	close(release)
	wg.Wait()

	var told bool
	for _, f := range b.Check(ctx) {
		told = told || f.Check == "connections" && f.Warning && f.Problem != ""
	}
	require.True(t, told, "the doctor says that it is small")
}
