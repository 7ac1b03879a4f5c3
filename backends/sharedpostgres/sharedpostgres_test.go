package sharedpostgres_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/storetest"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newBackend)
}

func BenchmarkTransaction(b *testing.B) { storetest.Benchmark(b, newBackend) }

// BenchmarkPooledTransaction is without prepared statements.
func BenchmarkPooledTransaction(b *testing.B) {
	storetest.Benchmark(b, func(t testing.TB, catalog *backends.Catalog) backends.Backend {
		return openBackend(t, catalog, config(t, true))
	})
}

func newBackend(t testing.TB, catalog *backends.Catalog) backends.Backend {
	return openBackend(t, catalog, config(t, false))
}

// config is a fresh database's, with an application role of its own.
func config(t testing.TB, pooled bool) backends.Config {
	admin := pgtest.Database(t)
	return backends.Config{
		Name: "shared", Kind: backends.SharedPostgres, DSN: pgtest.Role(t, admin, ""), AdminDSN: admin, Pooled: pooled,
	}
}

func openBackend(t testing.TB, catalog *backends.Catalog, cfg backends.Config) backends.Backend {
	b, err := sharedpostgres.Opener(catalog)(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// TestRoleThatSeesEverythingIsRefused: with such a role the second wall is not there.
func TestRoleThatSeesEverythingIsRefused(t *testing.T) {
	t.Parallel()
	admin := pgtest.Database(t)
	for _, attributes := range []string{"BYPASSRLS", "SUPERUSER"} {
		b := openBackend(t, storetest.Catalog(t), backends.Config{
			Name: "shared", Kind: backends.SharedPostgres, DSN: pgtest.Role(t, admin, attributes), AdminDSN: admin,
		})
		err := b.Create(context.Background(), backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1})
		require.ErrorContains(t, err, "row-level security would not hold it")
	}
}

// TestSchemaChangesUnderStatements: a migration makes what connections have
// prepared stale, and no caller notices.
func TestSchemaChangesUnderStatements(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	counters := &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	get := backends.Read(`SELECT value FROM counters WHERE storefront_id = $1 AND id = $2`)
	bump := backends.Write(counters, `UPDATE counters SET value = value + 1 WHERE storefront_id = $1 AND id = $2 RETURNING value`)
	catalog, err := backends.NewCatalog(counters)
	require.NoError(t, err)
	cfg := config(t, false)
	b := openBackend(t, catalog, cfg)
	p := backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, b.Create(ctx, p))
	store, err := b.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, store.Found(ctx, 1))
	admin, err := sql.Open("postgres", cfg.AdminDSN)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	_, err = admin.ExecContext(ctx, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, 'a', 0)`, string(p.Storefront))
	require.NoError(t, err)
	for n := range int64(3) {
		for _, kind := range []string{"int", "bigint"} {
			_, err := admin.ExecContext(ctx, `ALTER TABLE counters ALTER COLUMN value TYPE `+kind)
			require.NoError(t, err)
			var v int64
			require.NoError(t, store.View(ctx, 1, func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, get, "a") }))
			if kind == "bigint" {
				require.NoError(t, store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, bump, "a") }))
				require.Equal(t, n+1, v)
			}
		}
	}
}
