package migration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"smartseller/backends"
)

// longestLag is how many changes the old place may fall behind before the
// rollback window closes itself: a rollback that takes hours helps nobody.
const longestLag = 1_000_000

// longestBehind is for how long it may be behind at all: so old a place is none to go back to.
const longestBehind = 24 * time.Hour

// lagEvery is how often the lag is counted while the old place does not keep up: the
// count takes time with it.
const lagEvery = 5 * time.Second

// decideAlone is what a move whose storefront serves from the new place does while one of
// the two is away: it hears that the operator wants its end, and closes the window all the
// same, for the old place may never come back. away is why both could not be had, and
// the error if there is nothing to decide.
func (x *run) decideAlone(ctx context.Context, away error) error {
	switch {
	case x.m.Phase == Watching:
		closed, err := x.closeWindow(ctx)
		if closed || err != nil {
			return err
		}
		if x.intent.Load().(Intent) == WantRollback && x.giveUpWithout(ctx, away) == nil {
			return nil
		}
		if x.openTarget(ctx) != nil { // it is the new place that is away
			return away
		}
		if closed, err = x.closeWhenBehind(ctx); closed || err != nil {
			return err
		}
	case x.m.Phase == RollingBack && (x.m.Cut == NotCut || x.m.Cut == Aborted):
		return x.giveUpWithout(ctx, away)
	case x.m.Phase == Finalizing && x.oldUnfit() && x.impatient(): // it is not to serve again
		x.unfitted = x.unfitted[1:]
		if err := x.fitAll(ctx); err != nil {
			return err
		}
		return x.finalize(ctx)
	}
	return away
}

// oldUnfit says that both places are open, and that the old one cannot be upgraded.
func (x *run) oldUnfit() bool {
	return x.target != nil && len(x.unfitted) > 0 && x.unfitted[0].Place() == x.m.Source
}

// giveUpWithout gives a rollback up to an old place that cannot be used for long, or from a
// new one that is damaged; away otherwise.
func (x *run) giveUpWithout(ctx context.Context, away error) error {
	old := x.source == nil || x.oldUnfit()
	damaged := errors.Is(away, backends.ErrDamaged)
	concerned, lasting := old || damaged, x.impatient() || old && damaged
	if !concerned || !lasting {
		return away
	}
	if !old {
		return x.turnDown(ctx, away, newDamagedAdvice)
	}
	return x.turnDown(ctx, fmt.Errorf("the rollback was given up: %w", away),
		"The storefront serves on from the new place, and nothing was lost. Start the old place, then ask for the rollback again, or finalize the move without it.")
}

// newDamagedAdvice is for what no program can decide: which of two places to give up.
const newDamagedAdvice = "Do not finalize: the new place is damaged, and the old one has what was written until then. Restore the new place, or have what can be read of it written anew, then ask for the rollback again."

// damaged is the place that says of itself that it is damaged, the new one if both do; zero:
// neither does, though a statement met damage.
func (x *run) damaged(ctx context.Context) backends.Place {
	for _, p := range []backends.Place{x.m.Target, x.m.Source} {
		s, release, err := x.stores.Acquire(ctx, p)
		if err == nil {
			err = x.inspect(ctx, s)
			release()
		}
		if errors.Is(err, backends.ErrDamaged) {
			return p
		}
	}
	return backends.Place{}
}

// closeWindow ends the time in which a rollback is possible when it is over, or when the
// operator says so. A rollback that was asked for keeps it open, one that did not come about,
// too, and so do differences between the places: the old one may be the right one, and who
// decides is the operator.
func (x *run) closeWindow(ctx context.Context) (closed bool, err error) {
	want := x.intent.Load().(Intent)
	if want == WantFinalize {
		return x.closeAsked(ctx)
	}
	if want == WantRollback || x.m.undecided() {
		return false, nil
	}
	if over, err := x.windowOver(ctx); !over || err != nil {
		return false, err
	}
	return x.closeByItself(ctx)
}

// NotFinalized begins the cause of a move whose finalize was refused.
const NotFinalized = "the move was not finalized"

// closeAsked closes the window as an operator says, unless the new place is damaged: what
// is left of the storefront would be erased.
func (x *run) closeAsked(ctx context.Context) (closed bool, err error) {
	sound, err := x.inspectNew(ctx)
	if errors.Is(err, backends.ErrDamaged) {
		return false, errors.Join(err, x.enter(ctx, Watching, answer(WantFinalize), func(m *Move) {
			m.Cause, m.Advice = NotFinalized+": the new place: "+err.Error(), newDamagedAdvice
		}))
	}
	if err != nil || !sound {
		return false, err
	}
	return x.closeNow(ctx, answerAll)
}

// closeByItself closes a window that no operator closes, if the new place can be read.
func (x *run) closeByItself(ctx context.Context, more ...func(m *Move)) (closed bool, err error) {
	sound, err := x.inspectNew(ctx)
	if err != nil || !sound {
		return false, err
	}
	return x.closeNow(ctx, more...)
}

// inspectNew looks for damage of the place where the storefront is to stay, as one of so many at
// a time: all that was moved in a night has its windows end together. sound: false without an
// error is that it is not its turn yet.
func (x *run) inspectNew(ctx context.Context) (sound bool, err error) {
	if err := x.openTarget(ctx); err != nil {
		return false, err
	}
	leave, free := x.takeSlot(x.ends)
	if !free {
		return false, nil
	}
	defer leave()
	err = x.inspect(ctx, x.target)
	return err == nil, err
}

// inspect looks for damage of a place: its engine does, where it can, and every row is read by
// the server itself, as far as this program knows the tables.
func (x *run) inspect(ctx context.Context, s backends.Store) error {
	if err := s.Inspect(ctx); err != nil {
		return err
	}
	schema, err := s.Schema(ctx)
	if err != nil || schema.Pending > 0 || schema.Unknown > 0 {
		return err
	}
	for _, t := range x.directory.Catalog().Moving() {
		if err := s.Read(ctx, func(r backends.Reader) error {
			_, err := r.Sums(t)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// closeNow closes the window, unless a rollback was asked for a moment ago: whoever asked
// was told that it would come.
func (x *run) closeNow(ctx context.Context, more ...func(m *Move)) (closed bool, err error) {
	told := func(m *Move) { m.Cause, m.Advice = "", "" } // of a rollback that is not possible any more
	err = x.enter(ctx, Finalizing, append([]func(m *Move){told}, more...)...)
	if errors.Is(err, errAskedBack) {
		x.intent.Store(WantRollback)
		return false, nil
	}
	return err == nil, err
}

// placesDiffer says that the last comparison in the window found the places unequal.
func (m *Move) placesDiffer() bool { return m.Stats.Audit != nil && m.Stats.Audit.Findings > 0 }

// undecided says that the window does not close by itself: the places differ, or may, or a
// rollback was wanted and refused.
func (m *Move) undecided() bool {
	return m.placesDiffer() || m.Stats.Suspected || m.Stats.RollbackRefused != ""
}

// closeWhenBehind closes the window of an old place that has fallen too far behind, in changes
// or in time. While the places differ, or a rollback was asked for, only an operator does:
// that one is told again at every such distance.
func (x *run) closeWhenBehind(ctx context.Context) (closed bool, err error) {
	if time.Since(x.lagSeen) < lagEvery {
		return false, nil
	}
	lag, err := x.target.Backlog(ctx)
	if x.lagSeen = time.Now(); err != nil {
		return false, err
	}
	if lag == 0 {
		return false, x.noteBehind(ctx, false)
	}
	behind, err := x.behindFor(ctx)
	if err != nil || lag <= x.longestLag && behind <= x.longestBehind {
		return false, err
	}
	want := x.intent.Load().(Intent)
	if want == WantFinalize {
		return false, nil // which closes it, and answers
	}
	if x.m.undecided() || want == WantRollback {
		if times := max(lag/x.longestLag, int64(behind/x.longestBehind)); times > x.lagTold {
			x.lagTold = times
			x.log.ErrorContext(ctx, "changes pile up at the new place, since the old one takes none, and the window stays open because the places differ, or may, or a rollback was wanted: finalize the move, or bring the old place back",
				"move", x.m.ID, "storefront", x.m.Storefront, "changes", lag)
			x.metrics.lagged.Inc()
		}
		return false, nil
	}
	advice := fmt.Sprintf("The rollback window closed itself: the old place was %d changes behind.", lag)
	if lag <= x.longestLag {
		advice = fmt.Sprintf("The rollback window closed itself: the old place has taken no change for %s.", span(behind.Microseconds()))
	}
	if closed, err = x.closeByItself(ctx, func(m *Move) { m.Advice = advice }); !closed {
		return false, err
	}
	x.log.ErrorContext(ctx, "a rollback window closed itself: the old place is too far behind", "move", x.m.ID, "storefront", x.m.Storefront, "changes", lag)
	x.metrics.lagged.Inc()
	return true, nil
}

// mayLeave says that the place which the storefront left is out of reach for so long that
// the move ends without it.
func (x *run) mayLeave(err error) bool {
	return errors.Is(err, backends.ErrUnreachable) && x.impatient()
}

// leave erases the place that the storefront left. One that cannot be erased, whatever the
// reason, does not hold up the storefront's next move: it is erased when it can be, and its
// backend is removed before only by who says that it never comes back.
func (x *run) leave(ctx context.Context, p backends.Place) error {
	x.pace.hurry(false) // the storefront is where it is to be
	err := x.erase(ctx, p)
	if err == nil || !x.impatient() || endsRun(ctx, err) {
		return err
	}
	x.log.WarnContext(ctx, "a move ends and leaves a place behind that cannot be erased", "move", x.m.ID, "storefront", x.m.Storefront, "backend", p.Backend, "error", err)
	x.gate("clean-up of the place that was left", "put off: "+err.Error())
	x.leftBehind = p.Backend
	return nil
}
