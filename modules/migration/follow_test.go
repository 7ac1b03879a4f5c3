package migration

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestChangesOfCopiedTablesDoNotPileUp while another one is still copied.
func TestChangesOfCopiedTablesDoNotPileUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	goOn := make(chan struct{})
	copyOn := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(copyOn)
	w.wrap = func(store backends.Store) backends.Store {
		return &watched{Store: store, afterPage: func(table *backends.Table) {
			if table == counters {
				<-goOn
			}
		}}
	}
	i := w.instance(t, nil)
	i.runner.followEvery = waitStep
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	require.Eventually(t, func() bool {
		tables, err := i.service.Checkpoints(ctx, m.ID)
		require.NoError(t, err)
		return slices.ContainsFunc(tables, func(c Checkpoint) bool { return c.Table == tokens.Name && c.Done })
	}, waitLong, waitStep)
	s.put(i, hotCell)
	source, release, err := i.stores.Acquire(ctx, m.Source)
	require.NoError(t, err)
	t.Cleanup(release)
	changes := func(table string) int {
		entries, err := source.Captured(ctx, table, batchKeys)
		require.NoError(t, err)
		return len(entries)
	}
	require.Eventually(t, func() bool { return changes(tokens.Name) == 0 }, waitLong, waitStep)
	require.Equal(t, Copying, get(t, i, m.ID).Phase)
	require.NotZero(t, changes(counters.Name), "it is not copied yet")
	copyOn()
	s.judge(i, m.ID)
}
