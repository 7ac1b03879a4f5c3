package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver"
	"smartseller/platform/pgserver/pgtest"
)

// TestWarm: connections are there before they are needed, as many as a storefront may take, and stay.
func TestWarm(t *testing.T) {
	t.Parallel()
	for connections, want := range map[int]int{Share / 2: Share / 2, Share: Share, 2 * Share: Share} {
		d := &Dialect{Pools: pools(t, pgtest.Database(t), connections)}
		require.NoError(t, d.Warm(context.Background()))
		require.Equal(t, want, d.Pools.App.Stats().Idle)
	}
}

// TestWarmTakesNothingFromOthers: it leaves idle connections to those who ask for one, and does
// without what the server or other places have no more of.
func TestWarmTakesNothingFromOthers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Database(t)

	inUse := &Dialect{Pools: pools(t, dsn, Share)}
	c, err := inUse.Pools.App.Conn(ctx)
	require.NoError(t, err)
	require.NoError(t, inUse.Warm(ctx))
	require.NoError(t, c.Close())
	require.LessOrEqual(t, inUse.Pools.App.Stats().OpenConnections, 2, "that one, and the one that says whether the server is there")

	budget := NewBudget(2 * Share) // of which an instance takes half
	neighbour, mine := budgeted(t, budget, dsn), budgeted(t, budget, dsn)
	require.NoError(t, (&Dialect{Pools: neighbour}).Warm(ctx))
	idle := neighbour.App.Stats().Idle
	require.NoError(t, (&Dialect{Pools: mine}).Warm(ctx))
	require.Equal(t, Share, opened(neighbour)+opened(mine), "all there are")
	require.Equal(t, idle, neighbour.App.Stats().Idle)
	for range mine.App.Stats().OpenConnections + 1 {
		c, err := mine.App.Conn(ctx)
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
	}
	require.Equal(t, Share, opened(neighbour)+opened(mine))
	require.Equal(t, idle-1, neighbour.App.Stats().Idle, "a customer's connection takes the place of one")

	full, err := pgserver.Start(ctx, pgserver.Options{Settings: map[string]string{"max_connections": fmt.Sprint(Share)}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, full.Stop()) })
	alone := &Dialect{Pools: pools(t, full.AdminDSN(), Share)}
	require.NoError(t, alone.Warm(ctx))
	require.Less(t, alone.Pools.App.Stats().OpenConnections, Share, "the server has no more")
}

func opened(p *Pools) (n int) {
	for _, pool := range p.All() {
		n += pool.Stats().OpenConnections
	}
	return n
}
