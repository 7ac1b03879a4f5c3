package migration

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
)

// TestAWatchedMoveRestsAndWakes: while nothing happens it holds no store open, and what is
// asked of it, through another instance, wakes it from whatever long rest.
func TestAWatchedMoveRestsAndWakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.instance(t, nil), w.instance(t, nil)
	for _, i := range []*instance{one, two} {
		i.runner.watchLeast, i.runner.watchMost = time.Hour, time.Hour
	}
	id := one.storefront(t, 10)
	m := start(t, one, id, Options{WindowSeconds: 24 * 3600})
	m = one.waitFor(t, m.ID, Watching)
	owner, other := one, two
	if m.Owner == two.runner.instance {
		owner, other = two, one
	}
	require.Eventually(t, func() bool {
		usage := owner.stores.Usage()
		return usage["one"].Busy+usage["two"].Busy == 0
	}, waitLong, waitStep, "it holds its stores")
	put(t, other, id, "written while it rests")
	ask(t, other, m.ID, WantRollback)
	other.waitFor(t, m.ID, RolledBack)
	var kept int64
	require.NoError(t, other.router.Get(context.Background(), id, &kept, readCell, "written while it rests"))
	require.EqualValues(t, 1, kept)
}

// TestAWatcherLearnsThatItLostItsLease: another instance took the move of an idle
// storefront over, and died. The first one notices, and takes it up again.
func TestAWatcherLearnsThatItLostItsLease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	i.runner.watchLeast, i.runner.watchMost = time.Hour, time.Hour
	id := i.storefront(t, 10)
	m := start(t, i, id, Options{WindowSeconds: 24 * 3600})
	m = i.waitFor(t, m.ID, Watching)
	require.Eventually(t, func() bool {
		i.runner.mu.Lock()
		defer i.runner.mu.Unlock()
		g := i.runner.running[m.ID]
		return g != nil && g.calm.Load()
	}, waitLong, waitStep, "it rests")
	renewed := get(t, i, m.ID).LeaseUntil
	require.Eventually(t, func() bool { // which takes the runner longer than the last beat of the run's own heart
		return get(t, i, m.ID).LeaseUntil-renewed > i.runner.lease.Microseconds()/2
	}, waitLong, waitStep, "it is renewed for it")
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE moves SET gen = gen + 1, owner = 'another', lease_until = $2 WHERE id = $1`, m.ID, tx.Now()-1)
		return err
	}))
	require.Eventually(t, func() bool { return get(t, i, m.ID).Owner == i.runner.instance }, 20*time.Second, waitStep, "nobody takes it up")
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
}

// TestAWindowGathersNoRecords: what is applied at the old place is not noted there for a
// comparison that only a rollback makes, and makes of everything.
func TestAWindowGathersNoRecords(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	m = i.waitFor(t, m.ID, Watching)
	for range 5 {
		s.put(i, hotCell)
		s.put(i, slowCell)
	}
	there := i.store(t, m.Target)
	require.Eventually(t, func() bool {
		n, err := there.Backlog(ctx)
		require.NoError(t, err)
		return n == 0
	}, waitLong, waitStep, "the old place is in step")
	keys, err := i.store(t, m.Source).ToVerify(ctx, batchKeys)
	require.NoError(t, err)
	require.Empty(t, keys)
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
	require.NoError(t, s.verdict(i.router))
}

// TestACancelledCanary: the mover died with the row that travels back at the source, and
// the move is cancelled before anybody takes it over. Nothing of it stays.
func TestACancelledCanary(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	first, died := w.dyingAt(t, "canary")
	s := newScene(t, first, "one")
	m := startTo(t, first, s.storefront, "two", Options{})
	happens(t, died, "a mover that dies")
	ask(t, first, m.ID, WantCancel)
	second := w.instance(t, nil)
	m = second.waitFor(t, m.ID, Cancelled)
	require.NoError(t, second.store(t, m.Source).Read(ctx, func(r backends.Reader) error {
		n, err := r.Count(CanaryTable)
		require.Zero(t, n)
		return err
	}))
	require.NoError(t, s.verdict(second.router))
}

// TestAWatchedMoveAsksLessOften for a place that is away, and at once when it is told to.
func TestAWatchedMoveAsksLessOften(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	x := &run{Runner: i.runner, grip: &grip{nudged: make(chan struct{}, 1)}, heard: make(chan struct{}, 1), m: &Move{Phase: Watching}}
	x.m.Stats.CommittedAt = time.Now().UnixMicro()
	var last time.Duration
	for range 10 {
		x.heard <- struct{}{}
		require.NoError(t, x.waitOut(context.Background()))
		require.GreaterOrEqual(t, x.awayRest, last)
		last = x.awayRest
	}
	require.Equal(t, awayMost, last)
}

// TestAWrongClockClosesNoWindow: an instance whose clock is days ahead asks the control
// database before it ends the way back.
func TestAWrongClockClosesNoWindow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	i := w.instance(t, nil)
	i.runner.now = func() time.Time { return time.Now().Add(100 * time.Hour) }
	for _, mode := range []string{"", Drill} {
		x := &run{Runner: i.runner, m: &Move{Phase: Watching, Options: Options{Mode: mode}}}
		x.m.Stats.CommittedAt = time.Now().UnixMicro()
		asked := x.windowOver
		if mode == Drill {
			asked = x.drilled
		}
		over, err := asked(ctx)
		require.NoError(t, err)
		require.False(t, over)
		x.m.Stats.CommittedAt -= (50 * time.Hour).Microseconds()
		over, err = asked(ctx)
		require.NoError(t, err)
		require.True(t, over)
	}
}

// TestStayAdvice: what is to be done depends on which place is sound.
func TestStayAdvice(t *testing.T) {
	t.Parallel()
	x := &run{m: &Move{ID: "m1", Source: backends.Place{Backend: "old"}, Target: backends.Place{Backend: "new"}}}
	for name, c := range map[string]struct {
		err      error
		damaged  backends.Place
		says     string
		finalize bool
	}{
		"writes come too fast":     {&outpacedError{mismatchError{"too fast"}}, backends.Place{}, "at a quieter time", false},
		"the places differ":        {&gateError{mismatchError{"differ"}, ""}, backends.Place{}, "move verify m1", true},
		"a writer does not end":    {&busyError{errors.New("busy")}, backends.Place{}, "End what is in the way", false},
		"the old place is damaged": {backends.ErrDamaged, x.m.Source, "which copies everything anew", true},
		"the new place is damaged": {backends.ErrDamaged, x.m.Target, "Do not finalize", false},
	} {
		advice := x.stayAdvice(c.err, c.damaged)
		require.Contains(t, advice, c.says, name)
		require.Equal(t, c.finalize, strings.Contains(advice, "finalize this move"), name)
	}
}
