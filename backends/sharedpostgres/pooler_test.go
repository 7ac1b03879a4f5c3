package sharedpostgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/storetest"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

// pooledConfig leads through a transaction pooler with so many connections.
func pooledConfig(t testing.TB, connections int) backends.Config {
	cfg := config(t, true)
	cfg.DSN = pgtest.Pooler(t, cfg.DSN, connections)
	return cfg
}

func TestConformanceThroughPooler(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB, catalog *backends.Catalog) storetest.Subject {
		return subject(t, catalog, pooledConfig(t, 24)) // cases wait for each other within transactions
	})
}

// TestManyOverFewConnections: transactions of many storefronts alternate on two
// connections of the server, and none meets what another one left there.
func TestManyOverFewConnections(t *testing.T) {
	t.Parallel()
	const shops, callers, each = 4, 30, 60
	ctx := context.Background()
	s := subject(t, storetest.Catalog(t), pooledConfig(t, 2))
	stores := make([]backends.Store, shops)
	for i := range stores {
		p := backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
		require.NoError(t, s.Backend.Create(ctx, p))
		store, err := s.Backend.Open(ctx, p)
		require.NoError(t, err)
		require.NoError(t, store.Found(ctx, 1))
		require.NoError(t, store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(add, "of", i)
			return err
		}))
		stores[i] = store
	}
	errs := make(chan error, callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				if err := one(ctx, stores); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Zero(t, s.Unended(t, stores[0].Place()))
}

// one runs some transaction on some storefront and looks at whose rows it met.
func one(ctx context.Context, stores []backends.Store) error {
	n := rand.IntN(len(stores))
	var found []struct {
		ID    string `db:"id"`
		Value int64  `db:"value"`
	}
	whose := func(tx backends.Tx) error {
		if err := tx.Select(&found, all); err != nil {
			return err
		}
		for _, f := range found {
			if f.Value != int64(n) {
				return fmt.Errorf("storefront %d met a row of storefront %d", n, f.Value)
			}
		}
		return nil
	}
	switch rand.IntN(5) {
	case 4:
		var v int64
		if err := stores[n].Get(ctx, 1, &v, get, "of"); err != nil || v != int64(n) {
			return fmt.Errorf("storefront %d read the value %d: %w", n, v, err)
		}
		return nil
	case 0: // a refused entry
		var refused *backends.Refused
		err := stores[n].Update(ctx, 2, func(context.Context, backends.Tx) error { return nil })
		if errors.As(err, &refused) {
			return nil
		}
		return fmt.Errorf("an entry at another epoch: %w", err)
	case 1: // a failed transaction
		_ = stores[n].Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(add, "of", n)
			return err
		})
		return nil
	case 2:
		return stores[n].Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			if _, err := tx.Exec(add, ids.New(), n); err != nil {
				return err
			}
			return whose(tx)
		})
	default:
		return stores[n].View(ctx, 1, func(_ context.Context, tx backends.Tx) error { return whose(tx) })
	}
}

// TestPoolerIsNoticed: on the way of the application it must be known of, on the
// way of the owner there must be none.
func TestPoolerIsNoticed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	direct := config(t, false)
	through := pgtest.Pooler(t, direct.DSN, 3)
	owner := pgtest.Pooler(t, direct.AdminDSN, 3)
	for name, c := range map[string]struct {
		dsn, admin string
		pooled     bool
		problems   int
	}{
		"direct":                        {direct.DSN, direct.AdminDSN, false, 0},
		"direct, said to be pooled":     {direct.DSN, direct.AdminDSN, true, 0},
		"pooled, as was said":           {through, direct.AdminDSN, true, 0},
		"pooled, and nobody said so":    {through, direct.AdminDSN, false, 1},
		"the owner's is pooled as well": {through, owner, true, 1},
	} {
		b := openBackend(t, storetest.Catalog(t), backends.Config{
			Name: "shared", Kind: backends.SharedPostgres, DSN: c.dsn, AdminDSN: c.admin, Pooled: c.pooled,
		})
		problems := 0
		for _, f := range b.Check(ctx) {
			if f.Hinders() {
				problems++
				require.Contains(t, f.Problem, "transaction pooler", name)
				require.NotEmpty(t, f.Fix, name)
			}
		}
		require.Equal(t, c.problems, problems, name)
	}
}

// TestRefusedConfigurations are told by the field, and wait for no server.
func TestRefusedConfigurations(t *testing.T) {
	t.Parallel()
	const good = "postgres://app:x@127.0.0.1:1/shop?sslmode=disable"
	for name, cfg := range map[string]backends.Config{
		"/dsn":       {DSN: "127.0.0.1", AdminDSN: good},
		"/admin_dsn": {DSN: good},
	} {
		_, err := sharedpostgres.Opener(storetest.Catalog(t))(cfg)
		require.Equal(t, name, fault.Of(err).Fields[0].Pointer)
	}
}
