package migration

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
)

// TestAPromisedRollbackKeepsTheWindowOpen, however far the old place falls behind: the
// operator is told, and the rollback comes when that is back.
func TestAPromisedRollbackKeepsTheWindowOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	log := i.writesDown()
	i.runner.longestLag, i.runner.tolerance = 10, waitLong
	putBack := takeAway(t, filepath.Join(w.folder, "one"))
	for range 12 {
		s.put(i, hotCell)
	}
	ask(t, i, m.ID, WantRollback)
	i.runner.Start()
	require.Eventually(t, func() bool { return counted(t, i, "smartseller_move_windows_lagged_total") > 0 }, waitLong, waitStep)
	require.Equal(t, 1, log.count("ERROR: changes pile up at the new place"))
	now := get(t, i, m.ID)
	require.Equal(t, []any{Watching, WantRollback}, []any{now.Phase, now.Intent})
	putBack()
	i.waitFor(t, m.ID, RolledBack)
	require.NoError(t, s.verdict(i.router))
}

// TestTheWindowOfAPlaceThatTakesNoRowsCloses: the old place answers, and only what is
// written behind the cutover does not come to it.
func TestTheWindowOfAPlaceThatTakesNoRowsCloses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := &stage{}
	i := w.instance(t, at.hook)
	log := i.writesDown()
	i.runner.longestLag = 10
	i.runner.Start()
	s := newScene(t, i, "one")
	at.set(string(Watching))
	m := startTo(t, i, s.storefront, "two", Options{})
	happens(t, at.reached, "a window that opens")
	w.executeAt(t, m.Source, `CREATE TRIGGER mine BEFORE INSERT ON counters BEGIN SELECT RAISE(ABORT, 'it takes no rows'); END`)
	for range 12 {
		s.put(i, hotCell)
	}
	close(at.goOn)
	m = i.waitFor(t, m.ID, Completed)
	require.Contains(t, m.Advice, "The rollback window closed itself")
	require.Equal(t, 1, log.count("ERROR: a rollback window closed itself"))
	require.InDelta(t, 1, counted(t, i, "smartseller_move_windows_lagged_total"), 0)
	require.Empty(t, w.files(t, "one", s.storefront))
	s.put(i, hotCell)
	require.NoError(t, s.verdict(i.router))
}

// TestEndsOfWindowsTakeTurns: the new place is read in whole before the old one is erased,
// as one of a few at a time.
func TestEndsOfWindowsTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var looks, inspections atomic.Int64
	w.wrap = func(s backends.Store) backends.Store {
		if s.Place().Backend != "two" {
			return s
		}
		looking := &watched{Store: s, beforeCaptured: func() error { looks.Add(1); return nil }}
		return &inspected{looking, func() { inspections.Add(1) }}
	}
	i := w.instance(t, nil)
	m := start(t, i, i.storefront(t, 10), Options{})
	i.waitFor(t, m.ID, Watching)
	for range AtOnce {
		i.runner.backs <- struct{}{}
	}
	before := inspections.Load()
	ask(t, i, m.ID, WantFinalize)
	seen := looks.Load()
	require.Eventually(t, func() bool { return looks.Load() > seen+3*int64(len(i.directory.Catalog().Moving())) }, waitLong, waitStep, "it stays in step meanwhile")
	require.Equal(t, before, inspections.Load())
	require.Equal(t, Watching, get(t, i, m.ID).Phase)
	<-i.runner.backs
	i.waitFor(t, m.ID, Completed)
	require.Greater(t, inspections.Load(), before)
}

// endWindow lets the rollback window of a move that no runner has be over.
func (i *instance) endWindow(t *testing.T, id string, more ...func(*Move)) {
	t.Helper()
	ctx := context.Background()
	x := claimed(t, i, id)
	require.NoError(t, x.save(ctx, "test", nil, func(_ control.Tx, m *Move) error {
		m.Stats.CommittedAt -= m.Options.WindowSeconds * time.Second.Microseconds()
		for _, change := range more {
			change(m)
		}
		return nil
	}))
	x.handBack(ctx)
}

// TestVerifyComesBeforeTheWindowsEnd, which it puts off where the places differ.
func TestVerifyComesBeforeTheWindowsEnd(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	m := start(t, i, i.storefront(t, 20), Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	i.spoil(t, m.Source, "counters", "row-000007", nil)
	i.runner.Stop()
	i.endWindow(t, m.ID, func(m *Move) { m.Intent = WantVerify })
	i.runner.Start()
	require.Eventually(t, func() bool { a := get(t, i, m.ID).Stats.Audit; return a != nil && a.Asked }, waitLong, waitStep)
	m = get(t, i, m.ID)
	require.Equal(t, Watching, m.Phase)
	require.Positive(t, m.Stats.Audit.Findings)
}
