package migration

import (
	"context"
	"errors"
	"time"

	"smartseller/backends"
)

// watch keeps the old place in step, so that a rollback loses nothing, until the
// window closes or somebody decides.
func (x *run) watch(ctx context.Context) error {
	if err := x.weigh(ctx); err != nil {
		return err
	}
	audit := x.newAuditor()
	for {
		if x.intent.Load().(Intent) == WantRollback {
			return x.turnBack(ctx)
		}
		if closed, err := x.closeWindow(ctx); closed || err != nil {
			return err
		}
		drained, err := x.drain(ctx, x.target, x.source)
		if err != nil {
			return err
		}
		if x.drilled() {
			return x.turnBack(ctx)
		}
		if len(drained) == batchKeys {
			if closed, err := x.closeWhenBehind(ctx); closed || err != nil {
				return err
			}
			continue
		}
		worked, err := audit.step(ctx, x.intent.Load().(Intent) == WantVerify)
		if err != nil {
			return err
		}
		if worked {
			continue
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// weigh notes how much the storefront takes up at the target, when nobody waits for it.
func (x *run) weigh(ctx context.Context) (err error) {
	if x.m.Stats.TargetBytes == 0 {
		x.m.Stats.TargetBytes, err = x.target.Size(ctx)
	}
	return err
}

func (x *run) turnBack(ctx context.Context) error {
	there := x.p95(x.m.Target.Backend)
	return x.enter(ctx, RollingBack, answerAll, func(m *Move) {
		m.Cut, m.Cause, m.Advice, m.Stats.CutoverTries, m.Stats.P95There = NotCut, "", "", 0, there
	})
}

// rollBack is the cutover run backwards; the abandoned place is then erased, and
// there is no second window.
func (x *run) rollBack(ctx context.Context) error {
	if x.m.Cut == NotCut && !x.provedWayBack {
		if err := x.proveWayBack(ctx); err != nil {
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

func (x *run) proveWayBack(ctx context.Context) error {
	x.keepVerifying = true
	if err := x.keepUp(ctx, x.target, x.source); err != nil {
		return err
	}
	err := x.compareAll(ctx, x.target, x.source)
	x.provedWayBack = err == nil
	return err
}

// stayAhead gives a rollback up when the old place is not what the new one is, or
// when writers never ended: the storefront stays where it is, the window stays open.
func (x *run) stayAhead(ctx context.Context, err error) error {
	var wrong *mismatchError
	var busy *busyError
	advice := "The rollback was refused and the storefront serves on from the new place. Finalize this move, then start a new one back: it copies everything anew."
	if errors.As(err, &busy) {
		advice = "The rollback was given up and the storefront serves on from the new place. End what is in the way, then ask for the rollback again."
	} else if !errors.As(err, &wrong) {
		return err
	}
	if x.m.Cut == Committed {
		return err
	}
	x.log.ErrorContext(ctx, "a rollback did not come about", "move", x.m.ID, "storefront", x.m.Storefront, "error", err, "to do", advice)
	return x.enter(ctx, Watching, func(m *Move) {
		m.Cut, m.Cause, m.Advice, m.Stats.RollbackRefused = Committed, err.Error(), advice, err.Error()
	})
}
