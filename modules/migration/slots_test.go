package migration

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestStopWithoutASlot: a move that waits for its turn is cancelled, or paused, at once.
func TestStopWithoutASlot(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	for range AtOnce {
		i.runner.slots <- struct{}{}
	}
	m := startTo(t, i, i.storefront(t, 10), "two", Options{})
	ask(t, i, m.ID, WantPause)
	i.waitFor(t, m.ID, Paused)
	ask(t, i, m.ID, WantResume)
	ask(t, i, m.ID, WantCancel)
	i.waitFor(t, m.ID, Cancelled)
	_, err := i.service.Ask(context.Background(), m.ID, WantCutover)
	require.Error(t, err)
}

// TestComparisonAfterWaitingTakesASlot: what has waited for a word is compared in whole
// once more, as one of a few at a time.
func TestComparisonAfterWaitingTakesASlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var slots chan struct{}
	var pages, beside atomic.Int64
	var over atomic.Bool
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, afterPage: func(*backends.Table) {
			if over.Load() {
				return
			}
			if pages.Add(1); len(slots) == 0 {
				beside.Add(1)
			}
		}}
	}
	i := w.instance(t, func(_ context.Context, point string) error {
		over.Store(over.Load() || point == "K7")
		return nil
	})
	slots = i.runner.slots
	s := newScene(t, i, "one")
	m := s.ready(i, "two")
	before := pages.Load()
	s.judge(i, m.ID)
	require.Greater(t, pages.Load(), before)
	require.Zero(t, beside.Load(), "pages were compared without a slot")
	require.Eventually(t, func() bool { return len(slots) == 0 }, waitLong, waitStep)
}

// TestPauseKeepsTheWord: a cutover that was asked for comes after a pause, whichever of the
// two was asked for first.
func TestPauseKeepsTheWord(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]Intent{"cutover, then pause": {WantCutover, WantPause}, "pause, then cutover": {WantPause, WantCutover}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := &stage{}
			i := newWorld(t).instance(t, at.hook)
			at.set(string(Copying))
			m := startTo(t, i, i.storefront(t, 10), "two", Options{ManualCutover: true})
			happens(t, at.reached, "a copy that begins")
			for _, want := range order {
				ask(t, i, m.ID, want)
			}
			close(at.goOn)
			i.waitFor(t, m.ID, Paused)
			ask(t, i, m.ID, WantResume)
			i.waitFor(t, m.ID, Watching)
		})
	}
}

// TestPauseBeforeTheCommit: what was paused while it was being cut over is compared in
// whole again, and needs no second word.
func TestPauseBeforeTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var pages, tries atomic.Int64
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, afterPage: func(*backends.Table) { pages.Add(1) }}
	}
	reached, goOn, again := make(chan struct{}), make(chan struct{}), make(chan int64, 1)
	i := w.instance(t, func(_ context.Context, point string) error {
		if point != "K8" {
			return nil
		}
		if tries.Add(1) > 1 {
			again <- pages.Load()
			return nil
		}
		close(reached)
		<-goOn
		return &busyError{context.DeadlineExceeded} // as if writers had not ended
	})
	m := startTo(t, i, i.storefront(t, 10), "two", Options{ManualCutover: true})
	ask(t, i, m.ID, WantCutover)
	happens(t, reached, "a cutover that begins")
	ask(t, i, m.ID, WantPause)
	close(goOn)
	i.waitFor(t, m.ID, Paused)
	before := pages.Load()
	ask(t, i, m.ID, WantResume)
	i.waitFor(t, m.ID, Watching)
	require.Greater(t, <-again, before)
}

// TestRollbacksTakeTurns: one that has to wait for others stays in step, hinders nobody, and
// comes when it is its turn.
func TestRollbacksTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var pages atomic.Int64
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, afterPage: func(*backends.Table) { pages.Add(1) }}
	}
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	for range AtOnce {
		i.runner.backs <- struct{}{}
	}
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RollingBack)
	before := pages.Load()
	for range 3 {
		s.put(i, hotCell)
		require.Eventually(t, func() bool {
			n, err := i.store(t, m.Target).Backlog(context.Background())
			require.NoError(t, err)
			return n == 0
		}, waitLong, waitStep, "what is written meanwhile goes to the old place")
	}
	require.Equal(t, before, pages.Load(), "nothing is compared")
	<-i.runner.backs
	i.waitFor(t, m.ID, RolledBack)
	require.Greater(t, pages.Load(), before)
}

// TestCancelIsNotTakenBack by what is asked after it.
func TestCancelIsNotTakenBack(t *testing.T) {
	t.Parallel()
	m := &Move{Intent: WantCancel}
	require.Error(t, m.ask(WantPause, 0))
	require.Equal(t, WantCancel, m.Intent)
}

// TestPurgeRests after each of its small transactions, and ends where a rest is broken off.
func TestPurgeRests(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 2*purgeRows+10)
	m := startTo(t, i, id, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	i.runner.Stop()
	t.Cleanup(i.runner.Start) // the instance stops it once more
	old := i.store(t, backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	token := get(t, i, m.ID).token()
	var batches []int64
	err := purgeLeft(ctx, old, token, func(rows int64, _ time.Duration) error {
		batches = append(batches, rows)
		return context.Canceled
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []int64{purgeRows}, batches)
	require.NoError(t, purgeLeft(ctx, old, token, func(rows int64, _ time.Duration) error {
		batches = append(batches, rows)
		return nil
	}))
	require.GreaterOrEqual(t, len(batches), 3)
}
