package pgtest_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestDatabasesAreSeparateAndDropped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var name string
	t.Run("owner", func(t *testing.T) {
		one, other := open(t, pgtest.Database(t)), open(t, pgtest.Database(t))
		_, err := one.ExecContext(ctx, "CREATE TABLE mine (id TEXT)")
		require.NoError(t, err)
		_, err = other.ExecContext(ctx, "SELECT * FROM mine")
		require.ErrorContains(t, err, "does not exist")
		require.NoError(t, one.QueryRowContext(ctx, "SELECT current_database()").Scan(&name))
	})

	var left int
	server := open(t, pgtest.ServerDSN(t))
	require.NoError(t, server.QueryRowContext(ctx, "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&left))
	require.Zero(t, left)
}

func TestRoleIsOrdinaryAndDroppedWithWhatItOwns(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	admin := pgtest.Database(t)
	var name string
	t.Run("owner", func(t *testing.T) {
		dsn := pgtest.Role(t, admin, "CREATEDB")
		var super, bypass, createdb bool
		role := open(t, dsn)
		require.NoError(t, role.QueryRowContext(ctx, "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = current_user").
			Scan(&name, &super, &bypass, &createdb))
		require.False(t, super)
		require.False(t, bypass)
		require.True(t, createdb)
		_, err := role.ExecContext(ctx, "CREATE TEMPORARY TABLE mine (id TEXT)")
		require.NoError(t, err)
	})

	var left int
	require.NoError(t, open(t, admin).QueryRowContext(ctx, "SELECT count(*) FROM pg_roles WHERE rolname = $1", name).Scan(&left))
	require.Zero(t, left)
}
