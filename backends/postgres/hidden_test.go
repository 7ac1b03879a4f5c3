package postgres

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// TestHiddenTransactions: who holds a table that is to be altered is named also by a role
// that sees neither what it does nor since when.
func TestHiddenTransactions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Database(t)
	server, err := Open(dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	_, err = server.Exec(`CREATE TABLE things (id TEXT)`)
	require.NoError(t, err)
	owner, err := Open(pgtest.Role(t, dsn, ""))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, owner.Close()) })
	require.Equal(t, []string{"many short transactions held the tables in turn"}, longTransactions(ctx, owner))

	holder, err := server.Begin()
	require.NoError(t, err)
	defer func() { require.NoError(t, holder.Rollback()) }()
	_, err = holder.Exec(`LOCK TABLE things`)
	require.NoError(t, err)
	told := longTransactions(ctx, owner)
	require.Len(t, told, 1)
	require.Regexp(t, `^database process \d+ \(what it does and since when is hidden from this role: GRANT pg_monitor TO test_\w+\)$`, told[0])
}
