package sharedpostgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/postgres"
	"smartseller/backends/sqlstore"
	"smartseller/backends/storetest"
)

// TestReadThatWaits for a lock: no transaction tells the server how long a read in
// one trip may take, and yet the server ends it, as it does when the caller gives up.
func TestReadThatWaits(t *testing.T) {
	t.Parallel()
	cfg := config(t, false)
	founded, admin := place(t, cfg)
	pools, err := postgres.OpenPools(cfg.DSN, cfg.AdminDSN, false, 4)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pools.Close()) })
	store := sqlstore.New(sqlstore.Options{Place: founded.Place(), Catalog: storetest.Catalog(t), Dialect: &postgres.Dialect{Pools: pools}})
	read := func(ctx context.Context, s *sqlstore.Store) error {
		var v int64
		return s.Get(ctx, 1, &v, get, "a")
	}
	locker, err := admin.Begin()
	require.NoError(t, err)
	_, err = locker.Exec(`LOCK TABLE counters IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	require.ErrorIs(t, read(context.Background(), store), sqlstore.ErrContended)
	// Entered as well, for as long as the session says, and for as long as is asked.
	wait := func(s *sqlstore.Store) error {
		return s.Update(context.Background(), 1, func(_ context.Context, tx backends.Tx) error {
			var v int64
			return tx.Get(&v, get, "a")
		})
	}
	require.ErrorIs(t, wait(store), sqlstore.ErrContended)
	short := sqlstore.New(sqlstore.Options{Place: founded.Place(), Catalog: storetest.Catalog(t), Dialect: &postgres.Dialect{Pools: pools}, Timeout: 10 * time.Millisecond})
	require.ErrorIs(t, wait(short), sqlstore.ErrContended)

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- read(ctx, store) }()
	eventually(t, func() (waiting bool) {
		require.NoError(t, locker.QueryRow(`SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'counters'::regclass AND NOT granted)`).Scan(&waiting))
		return waiting
	})
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.NoError(t, locker.Rollback())
	require.NoError(t, read(context.Background(), store))
}

// TestCarelessReadIsNotTakenAlone: what does not bind the storefront in a way that
// the planner sees is not run before the storefront was entered.
func TestCarelessReadIsNotTakenAlone(t *testing.T) {
	t.Parallel()
	cfg := config(t, false)
	store, _ := place(t, cfg)
	pools, err := postgres.OpenPools(cfg.DSN, cfg.AdminDSN, false, 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pools.Close()) })
	dialect := &postgres.Dialect{Pools: pools}
	read := func(st *backends.Statement, args ...any) (err error) {
		rows, err := dialect.Read(context.Background(), st, append([]any{string(store.Place().Storefront)}, args...))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		require.True(t, rows.Next())
		return rows.Err()
	}
	for range 7 {
		require.ErrorIs(t, read(careless), sqlstore.ErrEnterFirst)
		require.NoError(t, read(get, "a"))
	}
}
