package migration

import (
	"context"
	"errors"
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
		i.runner.ends <- struct{}{}
	}
	before := inspections.Load()
	ask(t, i, m.ID, WantFinalize)
	seen := looks.Load()
	require.Eventually(t, func() bool { return looks.Load() > seen+3*int64(len(i.directory.Catalog().Moving())) }, waitLong, waitStep, "it stays in step meanwhile")
	require.Equal(t, before, inspections.Load())
	require.Equal(t, Watching, get(t, i, m.ID).Phase)
	<-i.runner.ends
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

// TestARefusedRollbackKeepsTheWindowOpen when its time is over: the old place, which somebody
// wanted back, is erased by an operator alone.
func TestARefusedRollbackKeepsTheWindowOpen(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	m := start(t, i, i.storefront(t, 20), Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	i.spoil(t, m.Source, "counters", "row-000007", nil)
	ask(t, i, m.ID, WantRollback)
	require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.RollbackRefused != "" }, waitLong, waitStep)
	require.Nil(t, get(t, i, m.ID).Stats.Audit, "no comparison in the window has found it")
	i.staysOpen(t, m.ID, "since a rollback was wanted")
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
}

// TestARollbackThatCannotCompareIsRefused, though each comparison works for longer than errors are
// borne before something keeps it from its end.
func TestARollbackThatCannotCompareIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var cutOff atomic.Int64
	var cuts atomic.Bool
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, beforePage: func(*backends.Table) error {
			if cuts.Load() {
				cutOff.Add(1)
				return errors.New("cut off")
			}
			return nil
		}}
	}
	i := w.instance(t, nil)
	i.runner.tolerance = 0
	m := start(t, i, i.storefront(t, 20), Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	cuts.Store(true)
	ask(t, i, m.ID, WantRollback)
	require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.RollbackRefused != "" }, waitLong, waitStep)
	m = get(t, i, m.ID)
	require.Equal(t, Watching, m.Phase)
	require.Contains(t, m.Cause, "cut off")
	require.GreaterOrEqual(t, cutOff.Load(), int64(interruptedMost))
	cuts.Store(false)
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
}

// TestAComparisonThatSuspectsKeepsTheWindowOpen until it has ended, and can say what it found, though
// a place goes away meanwhile and it is begun anew.
func TestAComparisonThatSuspectsKeepsTheWindowOpen(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	m := start(t, i, i.storefront(t, 20), Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	i.spoil(t, m.Source, "counters", "row-000007", nil)
	i.runner.Stop()
	x := claimed(t, i, m.ID)
	x.source, x.target = i.store(t, m.Source), i.store(t, m.Target)
	require.NoError(t, x.save(ctx, "test", nil, func(_ control.Tx, m *Move) error {
		m.Stats.CommittedAt -= 2 * time.Hour.Microseconds()
		return nil
	}))
	d := x.newAuditor()
	for !x.m.Stats.Suspected {
		d.resting = time.Time{}
		worked, err := d.step(ctx, false)
		require.NoError(t, err)
		require.True(t, worked)
	}
	require.Nil(t, x.m.Stats.Audit)
	closed, err := x.closeWindow(ctx)
	require.NoError(t, err)
	require.False(t, closed)
	for d = x.newAuditor(); x.m.Stats.Audit == nil; {
		d.resting = time.Time{}
		_, err := d.step(ctx, false)
		require.NoError(t, err)
	}
	require.False(t, x.m.Stats.Suspected)
	closed, err = x.closeWindow(ctx)
	require.NoError(t, err)
	require.False(t, closed, "it is told by now")
	x.handBack(ctx)
	i.runner.Start()
}

// TestTheWindowOfAPlaceThatIsAwayForLongCloses: what is behind for a day is none to go back to.
func TestTheWindowOfAPlaceThatIsAwayForLongCloses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweep = 20 * time.Millisecond
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	log := i.writesDown()
	i.runner.longestBehind, i.runner.tolerance = time.Second, time.Second
	putBack := takeAway(t, filepath.Join(w.folder, "one"))
	s.put(i, hotCell)
	i.runner.Start()
	m = i.waitFor(t, m.ID, Completed)
	require.Contains(t, m.Advice, "The rollback window closed itself: the old place has taken no change for ")
	require.Equal(t, 1, log.count("ERROR: a rollback window closed itself"))
	require.Equal(t, "one", m.LeftBehind)
	putBack()
	i.erased(t, m.ID)
	require.NoError(t, s.verdict(i.router))
}

// TestTroubleOutlastsItsOwner: since when it is goes by the control database, whoever runs the move.
func TestTroubleOutlastsItsOwner(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	m := start(t, i, i.storefront(t, 1), Options{})
	i.waitFor(t, m.ID, Watching)
	i.runner.Stop()
	behind := func(x *run) time.Duration {
		long, err := x.behindFor(ctx)
		require.NoError(t, err)
		return long.Round(time.Hour)
	}
	x := claimed(t, i, m.ID)
	require.Zero(t, behind(x))
	require.NoError(t, x.tell(ctx, &Trouble{Error: "it is away"}, time.Now().Add(-5*time.Hour)))
	require.InDelta(t, time.Now().Add(-5*time.Hour).UnixMicro(), x.m.Stats.Trouble.Since, 60e6)
	require.Zero(t, behind(x), "it has only now been seen to lack something")
	x.m.Stats.Trouble.Behind -= 3 * time.Hour.Microseconds()
	require.Equal(t, 3*time.Hour, behind(x))
	require.NoError(t, x.tell(ctx, &Trouble{Error: "it is away, in other words"}, time.Now()))
	x = claimed(t, i, m.ID)
	require.NoError(t, x.tell(ctx, &Trouble{Error: "it is still away"}, time.Now()))
	require.InDelta(t, time.Now().Add(-5*time.Hour).UnixMicro(), x.m.Stats.Trouble.Since, 60e6)
	require.Equal(t, 3*time.Hour, behind(x))
	require.NoError(t, x.noteBehind(ctx, false))
	require.NotNil(t, x.m.Stats.Trouble)
	require.Zero(t, behind(x), "it lacks something anew")
	require.NoError(t, x.passed(ctx))
	require.Zero(t, behind(x))
	x.handBack(ctx)
	i.runner.Start()
}

// TestStandingByEndsATrouble: what is amiss hours later is another one, and has its own time.
func TestStandingByEndsATrouble(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	s := newScene(t, i, "one")
	m := s.ready(i, "two")
	i.runner.Stop()
	x := claimed(t, i, m.ID)
	x.grip, x.keepVerifying = &grip{nudged: make(chan struct{}, 1)}, true
	x.source, x.target = i.store(t, m.Source), i.store(t, m.Target)
	x.troubleSince.Store(1)
	require.True(t, x.lasts(x.outage))
	waiting, leave := context.WithCancel(ctx)
	left := make(chan error, 1)
	go func() {
		_, err := x.waitForWord(waiting)
		left <- err
	}()
	require.Eventually(t, func() bool { return !x.lasts(0) }, waitLong, waitStep)
	leave()
	require.Error(t, <-left)
	x.close()
	x.handBack(ctx)
	i.runner.Start()
	s.judge(i, m.ID)
}

// TestWhatErrsBehindAnOutageHasItsOwnTime: a server that comes back may refuse for a moment.
func TestWhatErrsBehindAnOutageHasItsOwnTime(t *testing.T) {
	t.Parallel()
	for _, phase := range []Phase{Copying, CatchingUp, Verifying, CuttingOver} {
		x := &run{Runner: &Runner{tolerance: time.Minute, outage: time.Hour}, m: &Move{Phase: phase}}
		x.troubleSince.Store(time.Now().Add(-59 * time.Minute).UnixNano())
		require.False(t, x.hopeless(backends.ErrUnreachable), phase)
		require.False(t, x.hopeless(backends.ErrContended), phase)
		x.erringSince.Add(-2 * time.Minute.Nanoseconds())
		require.True(t, x.hopeless(backends.ErrContended), phase)
		require.False(t, x.hopeless(backends.ErrUnreachable), phase)
		require.False(t, x.hopeless(backends.ErrContended), phase)
		x.troubleSince.Store(time.Now().Add(-61 * time.Minute).UnixNano())
		require.True(t, x.hopeless(backends.ErrUnreachable), phase)
	}
}

// TestAnOutageThrowsNoCopyAway: a place that is away for longer than other troubles may last is
// waited for, once it has rows, and not for ever.
func TestAnOutageThrowsNoCopyAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	m := s.ready(i, "two")
	i.runner.Stop()
	i.runner.tolerance = 500 * time.Millisecond
	putBack := takeAway(t, filepath.Join(w.folder, "two"))
	i.runner.Start()
	require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.Trouble != nil }, waitLong, waitStep)
	require.Equal(t, Verifying, get(t, i, m.ID).Phase)
	s.put(i, hotCell)
	putBack()
	require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.Trouble == nil }, waitLong, waitStep)
	require.Equal(t, Verifying, get(t, i, m.ID).Phase)
	i.runner.Stop()
	i.runner.outage = time.Millisecond
	putBack = takeAway(t, filepath.Join(w.folder, "two"))
	i.runner.Start()
	m = i.waitFor(t, m.ID, Failed)
	require.Contains(t, m.Cause, "the target: ")
	require.Equal(t, "two", m.LeftBehind)
	putBack()
	s.put(i, hotCell)
	require.NoError(t, s.verdict(i.router))
}

// failing is a store whose engine looks for damage in vain while it is told to.
type failing struct {
	backends.Store
	fails *atomic.Bool
}

func (s *failing) Inspect(ctx context.Context) error {
	if s.fails.Load() {
		return errors.New("the moon is in the way")
	}
	return s.Store.Inspect(ctx)
}

// TestAComparisonThatFailsEachTimeIsGivenUp after a few times, however long it works.
func TestAComparisonThatFailsEachTimeIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var fails atomic.Bool
	w.wrap = func(s backends.Store) backends.Store { return &failing{s, &fails} }
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	m := s.ready(i, "two")
	fails.Store(true) // for less than a move may err
	ask(t, i, m.ID, WantCutover)
	m = i.waitFor(t, m.ID, Failed)
	require.Contains(t, m.Cause, "the moon is in the way")
	s.put(i, hotCell)
	require.NoError(t, s.verdict(i.router))
}
