package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// TestStrain sees a session that waits for another's lock, in any database of the server.
func TestStrain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	elsewhere, err := Open(pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, elsewhere.Close()) })
	admin, err := Open(pgtest.ServerDSN(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	holder, err := elsewhere.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = holder.Exec(`SELECT pg_advisory_xact_lock(1)`)
	require.NoError(t, err)
	done := make(chan error)
	go func() {
		_, err := elsewhere.ExecContext(ctx, `SELECT pg_advisory_xact_lock(1)`)
		done <- err
	}()
	require.Eventually(t, func() bool {
		s, err := Strain(ctx, admin)
		require.NoError(t, err)
		return s.LockWait > 100*time.Millisecond
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, holder.Rollback())
	require.NoError(t, <-done)
}
