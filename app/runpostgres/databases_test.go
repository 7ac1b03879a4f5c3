package main

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver"
)

// TestRolesOfADeveloper are those of a careful operator: the owners see what other roles'
// sessions do, also those that an older program made, and nobody is a superuser.
func TestRolesOfADeveloper(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server, err := pgserver.Start(ctx, pgserver.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	first, err := prepare(ctx, server)
	require.NoError(t, err)
	db, err := sql.Open("postgres", server.AdminDSN())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(ctx, `REVOKE pg_monitor FROM smartseller_owner, smartseller_admin`)
	require.NoError(t, err)
	again, err := prepare(ctx, server)
	require.NoError(t, err)
	require.Equal(t, first, again)

	for dsn, want := range map[string]bool{again.sharedOwner: true, again.dedicatedAdmin: true, again.sharedApp: false, again.control: false} {
		role, err := sql.Open("postgres", dsn)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, role.Close()) })
		var name string
		var sees, super bool
		require.NoError(t, role.QueryRowContext(ctx, `SELECT rolname, rolsuper, pg_has_role('pg_monitor', 'USAGE') FROM pg_roles WHERE rolname = current_user`).Scan(&name, &super, &sees))
		require.Equal(t, want, sees, name)
		require.False(t, super, name)
	}
}
