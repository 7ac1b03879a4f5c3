package migration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

const (
	sealWait  = 50 * time.Millisecond
	sealTries = 20
	cutTries  = 20
	cutPause  = 500 * time.Millisecond // between tries: those who waited get their turn
	// sealedMost is how long writes may wait between the seal and the commit point. A place must
	// be open again within a second of the seal, also when the coordinator dies at the end of
	// that: then its lease runs out first.
	sealedMost = 400 * time.Millisecond

	undisturbed = 5 * time.Second // to open a place in, whoever stops the instance meanwhile
)

// crossing is one change of placement: forward, or back on a rollback.
type crossing struct {
	from, to           backends.Store
	fromPlace, toPlace backends.Place
	epoch              int64          // the placement's before the crossing
	left               backends.State // what the place that was left becomes
	capture            bool           // whether changes at the new place are recorded
	back               bool           // it is a rollback
}

func (x *run) forward() crossing {
	return crossing{
		from: x.source, to: x.target, fromPlace: x.m.Source, toPlace: x.m.Target, epoch: x.m.SourceEpoch,
		left: backends.Standby, capture: true,
	}
}

func (x *run) backward() crossing {
	return crossing{
		from: x.target, to: x.source, fromPlace: x.m.Target, toPlace: x.m.Source, epoch: x.m.TargetEpoch(),
		left: backends.Moved, back: true,
	}
}

// cutOver is the forward crossing, from wherever an earlier attempt left it.
func (x *run) cutOver(ctx context.Context) error {
	if x.m.Cut == NotCut { // an earlier try may have outlasted the window
		if err := x.awaitCutover(ctx); err != nil {
			return err
		}
	}
	done, err := x.cross(ctx, x.forward())
	switch {
	case errors.Is(err, errRehearsed):
		if err := x.weigh(ctx); err != nil {
			return err
		}
		return x.enter(ctx, Cancelling, answerAll, func(m *Move) { m.Stats.Rehearsed = true })
	case err != nil:
		return err
	case done:
		return x.enter(ctx, Watching, answerAll) // what was asked meanwhile came too late
	default:
		// What was verified stays so: all that was applied since waits in the
		// to-verify set, also what an owner applied that died.
		return x.again(ctx, CuttingOver)
	}
}

// again makes room for another attempt of a crossing.
func (x *run) again(ctx context.Context, p Phase) error {
	if err := x.enter(ctx, p, func(m *Move) { m.Cut = NotCut }); err != nil {
		return err
	}
	return pause(ctx, cutPause/2+rand.N(cutPause))
}

// cross makes one attempt, or ends the one that was begun. done: the storefront
// is open at the new place; otherwise it is open at the old one.
func (x *run) cross(ctx context.Context, c crossing) (done bool, err error) {
	switch x.m.Cut {
	case Committed:
		return true, x.finish(ctx, c)
	case Cutting, Aborted:
		return false, x.abort(ctx, c)
	}
	err = x.attempt(ctx, c)
	if err == nil { // also when this instance is told to stop: the storefront is closed at both places
		finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), undisturbed)
		defer cancel()
		return true, x.finish(finishing, c)
	}
	if errors.Is(err, errCrash) || errors.Is(err, errLost) || errors.Is(err, backends.ErrStaleToken) || x.m.Cut == Committed {
		return false, err
	}
	// Also when this instance is told to stop: nobody stays sealed.
	undone, cancel := context.WithTimeout(context.WithoutCancel(ctx), undisturbed)
	defer cancel()
	if aborting := x.abort(undone, c); aborting != nil {
		// Until that is done the reason does not count: the old place is not open yet.
		return false, fmt.Errorf("%w (giving up a cutover because: %s)", aborting, err.Error())
	}
	var busy *busyError
	var wrong *mismatchError
	switch {
	case x.m.Stats.CutoverTries < x.cutTries && errors.As(err, &busy):
		x.log.InfoContext(ctx, "a cutover will be tried again", "move", x.m.ID, "reason", err)
		return false, nil
	case x.m.Stats.CutoverTries < x.cutTries || errors.Is(err, errRehearsed) || errors.As(err, &wrong) || ctx.Err() != nil:
		return false, err
	}
	return false, &busyError{err} // whatever it is, it has had its tries
}

// busyError is a reason to try the cutover again a little later.
type busyError struct{ error }

func (e *busyError) Unwrap() error { return e.error }

// attempt goes from "in step" to the commit point.
func (x *run) attempt(ctx context.Context, c crossing) error {
	x.keepVerifying = true
	if err := x.recount(ctx, c); err != nil {
		return err
	}
	x.did(ctx)
	if err := x.stayInStep(ctx, c.from, c.to); err != nil { // which may take minutes
		return err
	}
	if err := c.to.Prepare(ctx); err != nil {
		return err
	}
	if err := x.stayInStep(ctx, c.from, c.to); err != nil {
		return err
	}
	// Whole, the copy stands by. A place in any other state is never opened: an owner
	// that was late may make the target again after it was erased, empty.
	if err := c.to.Change(ctx, x.token, backends.Transition{From: []backends.State{backends.Loading}, To: backends.Standby, Capture: c.capture}); err != nil {
		return err
	}
	if err := x.save(ctx, "cut", map[string]any{"cut": Cutting}, func(tx control.Tx, m *Move) error {
		if m.Cut != NotCut {
			return errLost
		}
		m.Cut = Cutting
		m.Stats.CutoverTries++
		m.Stats.CutAt = tx.Now()
		return nil
	}); err != nil {
		return err
	}
	x.waits.since = time.Now()
	if err := x.hook(ctx, "K8"); err != nil {
		return err
	}
	if err := x.seal(ctx, c); err != nil {
		return err
	}
	if err := x.emptyAndClose(ctx, c); err != nil {
		return err
	}
	if x.m.Options.Mode == Rehearsal {
		return errRehearsed
	}
	return x.commit(ctx, c)
}

// emptyAndClose does what is left to do while writes wait, or gives up in time for
// them: a place that answers slowly is no reason to keep a storefront sealed.
func (x *run) emptyAndClose(ctx context.Context, c crossing) error {
	sealed, cancel := context.WithTimeout(ctx, x.sealedMost)
	defer cancel()
	err := x.emptyThenClose(sealed, c)
	if err == nil || sealed.Err() == nil || ctx.Err() != nil {
		return err
	}
	return &busyError{fmt.Errorf("writes had waited for %s and the last changes were not over, so nothing was cut over: %w", x.sealedMost, err)}
}

func (x *run) emptyThenClose(ctx context.Context, c crossing) error {
	if err := x.hook(ctx, "K10"); err != nil {
		return err
	}
	if err := x.lastDrain(ctx, c); err != nil {
		return err
	}
	if err := x.hook(ctx, "K11"); err != nil {
		return err
	}
	if err := c.from.Change(ctx, x.token, backends.Transition{From: []backends.State{backends.Sealed}, To: backends.Closed, Capture: true}); err != nil {
		return err
	}
	return x.hook(ctx, "K12")
}

// seal closes the place for writes, in short tries: a waiting exclusive lock
// holds up all who come after it.
func (x *run) seal(ctx context.Context, c crossing) error {
	for try := 1; ; try++ {
		x.waits.since = time.Now()
		err := c.from.Change(ctx, x.token, backends.Transition{
			From: []backends.State{backends.Active}, To: backends.Sealed, Capture: true, Exclusive: sealWait,
		})
		if !errors.Is(err, backends.ErrLockBusy) {
			return err
		}
		if try == sealTries {
			holders, _ := c.from.Holders(ctx)
			return &busyError{fmt.Errorf("writers did not end in time, so nothing was cut over; in the way: %v", holders)}
		}
		if err := pause(ctx, rand.N(time.Duration(try)*10*time.Millisecond)); err != nil {
			return err
		}
	}
}

// lastDrain empties the backlog, now that nobody adds to it, and compares what it
// brought.
func (x *run) lastDrain(ctx context.Context, c crossing) error {
	for empty := 0; empty < 2; {
		drained, err := x.drain(ctx, c.from, c.to)
		if err != nil {
			return err
		}
		if empty++; len(drained) > 0 {
			empty = 0
		}
	}
	if err := x.compareApplied(ctx, c.from, c.to); err != nil {
		return err
	}
	return x.countSealed(ctx, c)
}

// commit is the point of no return: one compare-and-swap in the control database.
func (x *run) commit(ctx context.Context, c crossing) error {
	before := backends.Placement{Place: c.fromPlace, Epoch: c.epoch}
	before95 := x.p95(c.fromPlace.Backend)
	err := x.save(ctx, "cut", map[string]any{"cut": Committed, "epoch": c.epoch + 1}, func(tx control.Tx, m *Move) error {
		if m.Cut != Cutting {
			return errLost
		}
		m.Cut = Committed
		if c.back {
			m.Stats.BackAt = tx.Now()
		} else {
			m.Stats.CommittedAt, m.Stats.CapturedBefore, m.Stats.P95Before = tx.Now(), m.Stats.Captured, before95
		}
		_, err := x.directory.Switch(tx, before, c.toPlace, m.ID)
		return err
	})
	if err != nil {
		if known := x.learnAnyway(ctx); known != nil {
			return errors.Join(err, known)
		}
		if x.m.Cut != Committed {
			return err
		}
	}
	return x.hook(ctx, "K13")
}

// learn finds out, after an answer was lost, whether the commit happened.
func (x *run) learn(ctx context.Context) error {
	for {
		var m *Move
		err := x.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
			m, err = readMove(tx, x.m.ID, false)
			return err
		})
		switch {
		case err == nil && m.Gen != x.m.Gen:
			return errLost
		case err == nil:
			x.m = m
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return errLost // whoever claims the move next sees what is true
		}
	}
}

// learnAnyway is learn, for a short time also when this instance is told to stop.
func (x *run) learnAnyway(ctx context.Context) error {
	if err := x.learn(ctx); err == nil || ctx.Err() == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undisturbed)
	defer cancel()
	return x.learn(ctx)
}

// finish opens the new place and retires the old one. Repeating it is no error.
func (x *run) finish(ctx context.Context, c crossing) error {
	if err := x.openNew(ctx, c); err != nil {
		return err
	}
	var aside error
	if c.from != nil {
		aside = x.stepAside(ctx, c)
	}
	if aside == nil && !c.back {
		return nil // it watches next, which is saved
	}
	return errors.Join(aside, x.keepStall(ctx))
}

// stepAside makes the place that was left what it is to be from now on.
func (x *run) stepAside(ctx context.Context, c crossing) error {
	err := c.from.Change(ctx, x.token, backends.Transition{
		From: []backends.State{backends.Closed}, To: c.left, Epoch: c.epoch + 1,
	})
	if err == nil {
		return nil
	}
	f, reading := c.from.Fence(ctx)
	if reading == nil && (f.State == backends.Absent || f.State == backends.Loading) {
		return nil // an owner that died has erased it already; one that came late may have made it again, empty
	}
	return errors.Join(err, reading)
}

func (x *run) openNew(ctx context.Context, c crossing) error {
	if err := x.hook(ctx, "K14"); err != nil {
		return err
	}
	x.openAlready(ctx, c, c.to)
	err := c.to.Change(ctx, x.token, backends.Transition{
		From: []backends.State{backends.Standby}, To: backends.Active, Epoch: c.epoch + 1, Capture: c.capture,
	})
	if err != nil {
		return err
	}
	x.stalled(c)
	// Not merely forgotten: the control database may be away meanwhile.
	x.router.Learn(x.m.Storefront, backends.Placement{Place: c.toPlace, Epoch: c.epoch + 1})
	return x.hook(ctx, "K15")
}

// abort makes a commit impossible first, and opens the old place then.
func (x *run) abort(ctx context.Context, c crossing) error {
	if x.m.Cut == Cutting {
		if err := x.save(ctx, "cut", map[string]any{"cut": Aborted}, func(_ control.Tx, m *Move) error {
			if m.Cut == Committed {
				return errLost
			}
			m.Cut = Aborted
			return nil
		}); err != nil {
			return err
		}
	}
	if err := x.hook(ctx, "aborted"); err != nil {
		return err
	}
	x.openAlready(ctx, c, c.from)
	err := c.from.Change(ctx, x.token, backends.Transition{
		From: []backends.State{backends.Sealed, backends.Closed}, To: backends.Active, Capture: true,
	})
	if err == nil {
		x.stalled(c)
	}
	return err
}
