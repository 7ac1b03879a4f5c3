package migration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// TestChangesDoNotPileUpBehindAnIndex: whoever made one that took long, and may work little, rests
// long; the table's changes are brought over meanwhile.
func TestChangesDoNotPileUpBehindAnIndex(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	var made atomic.Bool
	const long = waitLong / 50 // at a hundredth of the time it rests for longer than this test waits
	w.wrap = func(store backends.Store) backends.Store {
		return &watched{Store: store, beforeEndLoad: func(table *backends.Table) {
			if table == tokens {
				<-time.After(long) // what a large one takes, not what is waited for
				made.Store(true)
			}
		}}
	}
	i := w.instance(t, nil)
	i.runner.followEvery = waitStep
	s := newScene(t, i, "one")
	require.NoError(t, i.service.PaceAll(ctx, 1))
	m := start(t, i, s.storefront, Options{})
	require.Eventually(t, made.Load, waitLong, waitStep)
	s.put(i, hotCell)
	source, release, err := i.stores.Acquire(ctx, m.Source)
	require.NoError(t, err)
	t.Cleanup(release)
	require.Eventually(t, func() bool {
		entries, err := source.Captured(ctx, tokens.Name, batchKeys)
		require.NoError(t, err)
		return len(entries) == 0
	}, waitLong, waitStep)
	require.Equal(t, Copying, get(t, i, m.ID).Phase)
	require.NoError(t, i.service.PaceAll(ctx, 100))
	s.judge(i, m.ID)
}

// TestWideRowsAreBroughtAFewAtATime: of many that changed at once no more are held in memory
// than fit.
func TestWideRowsAreBroughtAFewAtATime(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWideWorld(t)
	kept := &backends.Table{Name: "idempotency_keys", Columns: []backends.Column{
		backends.T("id"), backends.T("fingerprint"), backends.T("result"), backends.I("created_at"), backends.I("expires_at"),
	}}
	w.tables = append(Tables(), counters, tokens, kept)
	add := backends.Write(kept, `INSERT INTO idempotency_keys (storefront_id, id, fingerprint, result, created_at, expires_at) VALUES ($1, $2, '', $3, 0, 0)`)
	count := backends.Read(`SELECT count(*) FROM idempotency_keys WHERE storefront_id = $1`)
	i := w.instance(t, nil)
	i.runner.fastEnough = waitLong // rows this wide take long on processors that are busy
	id := i.storefront(t, 5)
	const many = 12
	write := func(name string) {
		require.NoError(t, i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
			for n := range many {
				if _, err := tx.Exec(add, fmt.Sprint(name, n), strings.Repeat("w", 1<<20)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	write("copied ")
	m := startTo(t, i, id, "shared", Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	write("brought back ")
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
	i.requireAt(t, id, "one", 3)
	var arrived int
	require.NoError(t, i.router.View(ctx, id, func(_ context.Context, tx backends.Tx) error { return tx.Get(&arrived, count) }))
	require.Equal(t, 2*many, arrived)
}
