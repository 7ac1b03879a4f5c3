package postgres

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// TestMoveThatWaitsClosesNoCustomersConnections: none of them would help it.
func TestMoveThatWaitsClosesNoCustomersConnections(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dsn := pgtest.Database(t)
	b := NewBudget(2 * Share) // of which an instance takes half, and moves three quarters of that
	shops := []*Pools{budgeted(t, b, dsn), budgeted(t, b, dsn)}
	take := func(pool *sql.DB) {
		c, err := pool.Conn(ctx)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
	}
	require.NoError(t, Reach(ctx, shops[0].App))
	for n := range Share - Share/4 {
		take(shops[n%2].Owner)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := shops[1].Owner.Conn(ctx)
		waiting <- err
	}()
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.movers.hungry == 1
	}, time.Minute, time.Millisecond)
	require.Equal(t, 1, shops[0].App.Stats().Idle)
	cancel()
	require.ErrorIs(t, <-waiting, context.Canceled)
}

func budgeted(t *testing.T, b *Budget, dsn string) *Pools {
	t.Helper()
	p, err := b.OpenPools(dsn, dsn, Share)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}
