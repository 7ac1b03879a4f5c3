package sharedpostgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlstore"
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
	storetest.Benchmark(b, func(t testing.TB, catalog *backends.Catalog) storetest.Subject {
		return subject(t, catalog, config(t, true))
	})
}

func newBackend(t testing.TB, catalog *backends.Catalog) storetest.Subject {
	return subject(t, catalog, config(t, false))
}

func subject(t testing.TB, catalog *backends.Catalog, cfg backends.Config) storetest.Subject {
	admin := open(t, cfg.AdminDSN)
	return storetest.Subject{
		Backend: openBackend(t, catalog, cfg),
		Unended: func(t testing.TB, _ backends.Place) (n int) {
			require.NoError(t, admin.QueryRowContext(context.Background(),
				`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`).Scan(&n))
			return n
		},
	}
}

func open(t testing.TB, dsn string) *sql.DB {
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
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

// place is a founded one whose table of counters has one row, "a".
func place(t *testing.T, cfg backends.Config) (backends.Store, *sql.DB) {
	t.Helper()
	return placeOf(t, openBackend(t, storetest.Catalog(t), cfg)), open(t, cfg.AdminDSN)
}

func placeOf(t *testing.T, b backends.Backend) backends.Store {
	t.Helper()
	ctx := context.Background()
	p := backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, b.Create(ctx, p))
	store, err := b.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, store.Found(ctx, 1))
	require.NoError(t, store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(add, "a", 0)
		return err
	}))
	return store
}

var (
	counters = &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	get      = backends.Read(`SELECT value FROM counters WHERE storefront_id = $1 AND id = $2`)
	all      = backends.Read(`SELECT id, value FROM counters WHERE storefront_id = $1`)
	careless = backends.Read(`SELECT value FROM counters WHERE storefront_id = $1 OR value >= 0`)
	add      = backends.Write(counters, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, $3)`)
	bump     = backends.Write(counters, `UPDATE counters SET value = value + 1 WHERE storefront_id = $1 AND id = $2 RETURNING value`)
)

// TestConflictsAreRunAgain: what the server ends for the sake of others is run
// until it succeeds, or until it has had its tries.
func TestConflictsAreRunAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store, admin := place(t, config(t, false))
	_, err := admin.ExecContext(ctx, `CREATE SEQUENCE runs; GRANT USAGE ON SEQUENCE runs TO PUBLIC;
		CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('runs') < TG_ARGV[1]::int THEN
				RAISE EXCEPTION 'a conflict' USING ERRCODE = TG_ARGV[0];
			END IF;
			RETURN NEW;
		END $$`)
	require.NoError(t, err)
	try := func(code string, succeedsAt int) (runs int, err error) {
		_, err = admin.ExecContext(ctx, fmt.Sprintf(`CREATE OR REPLACE TRIGGER conflict BEFORE UPDATE ON counters
			FOR EACH ROW EXECUTE FUNCTION conflict('%s', %d); ALTER SEQUENCE runs RESTART`, code, succeedsAt))
		require.NoError(t, err)
		return runs, store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			runs++
			var v int64
			return tx.Get(&v, bump, "a")
		})
	}
	for _, code := range []string{"40001", "40P01", "57P01", "08006"} {
		runs, err := try(code, 3)
		require.NoError(t, err, code)
		require.Equal(t, 3, runs, code)
		runs, err = try(code, 1000)
		require.True(t, errors.Is(err, sqlstore.ErrContended) || errors.Is(err, backends.ErrUnreachable), "%s: %v", code, err)
		require.Greater(t, runs, 3, code)
		require.Less(t, runs, 100, code)
	}
	runs, err := try("23514", 1000)
	require.Error(t, err)
	require.Equal(t, 1, runs, "a violated constraint stays violated")
	var v int64
	require.NoError(t, store.View(ctx, 1, func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, get, "a") }))
	require.EqualValues(t, 4, v)
}

// TestSchemaChangesUnderStatements: a migration makes what connections have
// prepared stale, and no caller notices.
func TestSchemaChangesUnderStatements(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store, admin := place(t, config(t, false))
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

// TestColumnsAfterSchemaChange: the mover sees the columns of today, on connections
// that have asked before.
func TestColumnsAfterSchemaChange(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store, admin := place(t, config(t, false))
	declared := []backends.Column{backends.T("id"), backends.I("value")}
	columns := func() (live []backends.Column) {
		require.NoError(t, store.Read(ctx, func(r backends.Reader) (err error) {
			live, _, err = r.Shape(counters)
			return err
		}))
		return live
	}
	require.Equal(t, declared, columns())
	for _, change := range []string{"ADD COLUMN extra text COLLATE \"C\"", "DROP COLUMN extra"} {
		_, err := admin.ExecContext(ctx, "ALTER TABLE counters "+change)
		require.NoError(t, err)
		want := slices.Clone(declared)
		if change[:3] == "ADD" {
			want = append(want, backends.NT("extra"))
		}
		require.Equal(t, want, columns())
	}
}
