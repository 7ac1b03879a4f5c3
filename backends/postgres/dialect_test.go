package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends/sqlstore"
	"smartseller/platform/pgserver/pgtest"
)

func pools(t *testing.T, dsn string, connections int) *Pools {
	t.Helper()
	p, err := OpenPools(dsn, dsn, false, connections)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// TestWhatWaitsForTheDisk: of the mover's changes those that the next ones cover do not.
func TestWhatWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Database(t)
	d := &Dialect{Pools: pools(t, dsn, 4)}
	owner, err := Open(dsn)
	require.NoError(t, err)
	_, err = owner.ExecContext(ctx, "CREATE TABLE fence (storefront_id TEXT, id TEXT)") // an exclusive change locks by its row
	require.NoError(t, errors.Join(err, owner.Close()))
	for mode, want := range map[sqlstore.Mode]string{sqlstore.Change: "on", sqlstore.Fill: "off", sqlstore.Exclusive: "off"} {
		s, err := d.Begin(ctx, "shop", mode, time.Second)
		require.NoError(t, err)
		var got string
		require.NoError(t, s.QueryRowContext(ctx, "SELECT current_setting('synchronous_commit')").Scan(&got))
		require.Equal(t, want, got, mode)
		require.NoError(t, s.Rollback())
	}
}
