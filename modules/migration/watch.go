package migration

import (
	"context"
	"errors"
	"time"

	"smartseller/backends"
)

// Any number of moves may be watched for days. An idle one asks its place every few
// seconds, holds no store open meanwhile, and is woken when something is asked of it.
const (
	watchLeast = 50 * time.Millisecond
	watchMost  = 5 * time.Second
	letGo      = time.Second // a rest from which on its stores are let go

	awayLeast = 250 * time.Millisecond // after which it asks again for a place that is away
	awayMost  = 30 * time.Second
)

// watch keeps the old place in step, so that a rollback loses nothing, until the
// window closes or somebody decides.
func (x *run) watch(ctx context.Context) error {
	x.pace.hurry(false)
	if err := errors.Join(x.asideAtLast(ctx), x.weigh(ctx), x.keepNoRecord(ctx)); err != nil {
		return x.decideAlone(ctx, err)
	}
	audit := x.newAuditor()
	idle := x.watchLeast
	defer x.beCalm(false)
	for {
		if x.intent.Load().(Intent) == WantRollback {
			return x.turnBack(ctx)
		}
		if x.intent.Load().(Intent) != WantVerify { // what that finds may keep the window open
			if closed, err := x.closeWindow(ctx); closed || err != nil {
				return err
			}
		}
		drained, err := x.drain(ctx, x.target, x.source)
		if err != nil { // and the old place may take no rows for days
			closed, failed := x.closeWhenBehind(ctx)
			if closed {
				return nil
			}
			return errors.Join(err, failed)
		}
		if over, err := x.drilled(ctx); err != nil {
			return err
		} else if over {
			return x.turnBack(ctx)
		}
		if len(drained) > 0 {
			idle = x.watchLeast
		}
		if len(drained) == batchKeys {
			x.works()
			if err := x.passed(ctx); err != nil {
				return err
			}
			if closed, err := x.closeWhenBehind(ctx); closed || err != nil {
				return err
			}
			continue
		}
		if err := x.noteBehind(ctx, false); err != nil {
			return err
		}
		worked, err := audit.step(ctx, x.intent.Load().(Intent) == WantVerify)
		if err != nil {
			return err
		}
		x.awayRest = 0
		x.works() // whatever was away has come back
		if err := x.passed(ctx); err != nil {
			return err
		}
		if worked {
			continue
		}
		if err := x.rest(ctx, min(idle, audit.due(), x.untilWindowEnds())); err != nil {
			return err
		}
		idle = min(2*idle, x.watchMost)
	}
}

// asideAtLast is for an old place that was away from the commit on, and has come back.
func (x *run) asideAtLast(ctx context.Context) error {
	f, err := x.source.Fence(ctx)
	if err != nil || f.State != backends.Closed {
		return err
	}
	return x.stepAside(ctx, x.forward())
}

// keepNoRecord ends the recording of what is applied, for the next comparison before a
// rollback compares everything: a window's changes would only gather at the old place.
func (x *run) keepNoRecord(ctx context.Context) error {
	x.keepVerifying, x.provedWayBack = false, false
	for {
		applied, err := x.source.ToVerify(ctx, batchKeys)
		if err != nil || len(applied) == 0 {
			return err
		}
		if err := x.source.Verified(ctx, x.token, applied); err != nil {
			return err
		}
	}
}

// weigh notes how much the storefront takes up at the target, when nobody waits for it.
func (x *run) weigh(ctx context.Context) (err error) {
	if x.m.Stats.TargetBytes == 0 {
		x.m.Stats.TargetBytes, err = x.target.Size(ctx)
	}
	if errors.Is(err, backends.ErrDamaged) {
		return nil // the window's end and its comparisons are what damage is told by
	}
	return err
}

// untilWindowEnds is how long watching goes on by itself. A window that is over and
// stays open waits for an operator.
func (x *run) untilWindowEnds() time.Duration {
	long := x.m.Options.window()
	if x.m.Options.Mode == Drill {
		long = x.m.Options.drill()
	}
	left := time.UnixMicro(x.m.Stats.CommittedAt).Add(long).Sub(x.now())
	if left <= -time.Minute {
		return x.watchMost
	}
	return max(left, 100*time.Millisecond) // it is over by the control database's clock, which may be a little late
}

// rest waits until something is asked of the move, at most so long.
func (x *run) rest(ctx context.Context, long time.Duration) error {
	long = max(long, watchLeast)
	x.beCalm(long >= letGo)
	if long >= letGo {
		x.close()
	}
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-x.heard:
	case <-timer.C:
	}
	if x.source != nil {
		return nil
	}
	// The fences know this run's token since it began.
	return errors.Join(x.take(ctx, x.m.Source, &x.source), x.take(ctx, x.m.Target, &x.target))
}

// waitOut waits before a step is tried again. A watched move, whose old place may be away
// for days and with it that of hundreds, asks for it less and less often.
func (x *run) waitOut(ctx context.Context) error {
	if x.m.Phase != Watching {
		return pause(ctx, 200*time.Millisecond)
	}
	x.awayRest = min(max(2*x.awayRest, awayLeast), awayMost)
	x.beCalm(true)
	defer x.beCalm(false)
	timer := time.NewTimer(min(x.awayRest, x.untilWindowEnds()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-x.heard:
	case <-timer.C:
	}
	return nil
}

// beCalm says whether the runner is to renew the lease, or the run itself and at once.
func (x *run) beCalm(calm bool) {
	if was := x.calm.Swap(calm); was && !calm {
		signal(x.nudged)
	}
}

// take acquires a place's store.
func (x *run) take(ctx context.Context, p backends.Place, into *backends.Store) error {
	s, release, err := x.stores.Acquire(ctx, p)
	if err != nil {
		return err
	}
	*into = s
	x.release = append(x.release, release)
	return nil
}

func (x *run) turnBack(ctx context.Context) error {
	x.interrupted = 0
	there := x.p95(x.m.Target.Backend)
	return x.enter(ctx, RollingBack, answer(WantRollback), func(m *Move) {
		m.Cut, m.Cause, m.Advice, m.Stats.CutoverTries, m.Stats.P95There = NotCut, "", "", 0, there
	})
}

// rollBack is the cutover run backwards; the abandoned place is then erased, and
// there is no second window.
func (x *run) rollBack(ctx context.Context) error {
	x.pace.hurry(true)
	if x.m.Cut == NotCut && !x.provedWayBack {
		began := time.Now()
		if err := x.proveWayBack(ctx); err != nil {
			if time.Since(began) > x.tolerance { // it worked for so long
				x.works()
			}
			return x.stayAhead(ctx, err)
		}
	}
	if err := x.hook(ctx, "K17"); err != nil {
		return err
	}
	if x.m.Cut == Committed {
		f, err := x.source.Fence(ctx)
		if err != nil {
			return err
		}
		if f.Move == "" && f.State == backends.Active { // all was done but the last word
			if err := x.leave(ctx, x.m.Target); err != nil {
				return err
			}
			return x.end(ctx, RolledBack)
		}
	}
	done, err := x.cross(ctx, x.backward())
	if err != nil {
		return x.stayAhead(ctx, err)
	}
	if !done {
		return x.again(ctx, RollingBack)
	}
	if err := x.leave(ctx, x.m.Target); err != nil {
		return err
	}
	if err := x.retire(ctx, x.m.Source); err != nil {
		return err
	}
	return x.end(ctx, RolledBack)
}

// proveWayBack sees that the old place is what the new one is, as one of so many rollbacks
// at a time: somebody may want back all that was moved in a night.
func (x *run) proveWayBack(ctx context.Context) error {
	x.keepVerifying = true
	leave, err := x.awaitTurnBack(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := x.does(ctx, comparesBack); err != nil {
		return err
	}
	if err := x.keepUp(ctx, x.target, x.source); err != nil {
		return err
	}
	if err := x.compareAll(ctx, x.target, x.source); err != nil {
		return err
	}
	x.provedWayBack = true
	x.did(ctx)
	return nil
}

// awaitTurnBack stays in step, and rests, until the rollback may compare.
func (x *run) awaitTurnBack(ctx context.Context) (leave func(), err error) {
	defer x.beCalm(false)
	for idle := x.watchLeast; ; idle = min(2*idle, letGo) {
		leave, free := x.takeSlot(x.backs)
		if free {
			return leave, nil
		}
		if err := x.does(ctx, waitsForBack); err != nil {
			return nil, err
		}
		if err := x.keepUp(ctx, x.target, x.source); err != nil {
			return nil, err
		}
		if err := x.rest(ctx, idle); err != nil {
			return nil, err
		}
	}
}

// stayAhead gives a rollback up when the old place is not what the new one is, when
// writers never ended, or when nothing has worked for as long as a place may be away: the
// storefront stays where it is, the window stays open.
func (x *run) stayAhead(ctx context.Context, err error) error {
	var wrong *mismatchError
	var busy *busyError
	var damaged backends.Place
	if errors.Is(err, backends.ErrDamaged) && x.m.Cut == NotCut {
		damaged = x.damaged(ctx)
	}
	final := errors.As(err, &wrong) || errors.As(err, &busy) || damaged == x.m.Source
	lasts := x.impatient() || x.interrupted >= interruptedMost
	passes := !final && (x.m.Cut != NotCut || !lasts || halts(err))
	if passes || x.m.Cut == Committed || endsRun(ctx, err) {
		return err
	}
	return x.turnDown(ctx, err, x.stayAdvice(err, damaged))
}

// stayAdvice is what to do about a rollback that did not come about.
func (x *run) stayAdvice(err error, damaged backends.Place) string {
	var wrong *mismatchError
	var outpaced *outpacedError
	const serves = "The storefront serves on from the new place, and nothing was lost. "
	switch {
	case damaged == x.m.Target:
		return newDamagedAdvice
	case damaged == x.m.Source:
		return serves + "The old place is damaged: finalize this move, then start a new one back, which copies everything anew."
	case errors.As(err, &outpaced):
		return serves + "Its changes come faster than the old place takes them: ask for the rollback again at a quieter time. That is no reason to finalize."
	case errors.As(err, &wrong):
		return serves + "A rollback would lose what differs. Compare both places: smartseller move verify " + x.m.ID +
			". If the new one is right, finalize this move; a new one back copies everything anew."
	}
	return serves + "End what is in the way, then ask for the rollback again."
}

// turnDown ends a rollback, or the wish for one: the storefront serves on from the new place.
func (x *run) turnDown(ctx context.Context, err error, advice string) error {
	x.log.ErrorContext(ctx, "a rollback did not come about", "move", x.m.ID, "storefront", x.m.Storefront, "error", err, "to do", advice)
	return x.enter(ctx, Watching, answer(WantRollback), func(m *Move) {
		m.Cut, m.Cause, m.Advice, m.Stats.RollbackRefused = Committed, err.Error(), advice, err.Error()
	})
}
