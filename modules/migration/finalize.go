package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"smartseller/backends"
)

const purgeRows = 1000

// finalize erases the storefront from the place it left and proves that nothing
// remains there. From the moment this phase is persisted there is no way back.
func (x *run) finalize(ctx context.Context) error {
	if err := x.leave(ctx, x.m.Source); err != nil {
		return err
	}
	if err := x.hook(ctx, "K18"); err != nil {
		return err
	}
	if err := x.retire(ctx, x.m.Target); err != nil {
		return err
	}
	return x.end(ctx, Completed)
}

// erase purges a place and destroys it. Repeating it is no error.
func (x *run) erase(ctx context.Context, p backends.Place) error {
	s, release, err := x.stores.Acquire(ctx, p)
	if err == nil {
		var purged int64
		err = purgeLeft(ctx, s, x.token, func(rows int64, took time.Duration) error {
			purged += rows
			x.works()
			return errors.Join(x.passed(ctx), x.pace.rest(ctx, took))
		})
		release()
		x.m.Stats.Purged += purged
	}
	if err != nil && !errors.Is(err, backends.ErrNoPlace) {
		return fmt.Errorf("erase the storefront from %s: %w", p.Backend, err)
	}
	if err := x.hook(ctx, "erasing"); err != nil {
		return err
	}
	return x.destroy(ctx, p)
}

func (x *run) destroy(ctx context.Context, p backends.Place) error {
	b, err := x.directory.Backend(ctx, p.Backend)
	if err != nil {
		return err
	}
	x.drop(p)
	return b.Destroy(ctx, p)
}

// purgeLeft purges a place that a move leaves, or abandoned, in small transactions until one
// finds nothing. Who still knows the place is told first that the storefront has gone, also
// where the place could not be reached at its crossing, and is closed still. after each
// transaction counts the rows, and rests as long as what took that time asks for.
func purgeLeft(ctx context.Context, s backends.Store, token backends.Token, after func(rows int64, took time.Duration) error) error {
	left := []backends.State{backends.Standby, backends.Closed}
	f, err := s.Fence(ctx)
	if err == nil && slices.Contains(left, f.State) {
		err = s.Change(ctx, token, backends.Transition{From: left, To: backends.Moved})
	}
	if err != nil {
		return err
	}
	for {
		started := time.Now()
		n, err := s.Purge(ctx, token, purgeRows)
		if err != nil || n == 0 {
			return err
		}
		if err := after(n, time.Since(started)); err != nil {
			return err
		}
	}
}

// retire ends a place's part in the move: capture off, nothing left of what the
// move noted there, and the fence belongs to nobody.
func (x *run) retire(ctx context.Context, p backends.Place) error {
	s, release, err := x.stores.Acquire(ctx, p)
	if err != nil {
		return err
	}
	defer release()
	f, err := s.Fence(ctx)
	if err != nil || f.Move != x.m.ID {
		return err // given up already
	}
	open := []backends.State{backends.Active, backends.Sealed, backends.Closed}
	if err := s.Change(ctx, x.token, backends.Transition{From: open, To: backends.Active}); err != nil {
		return err
	}
	if err := x.eraseCanary(ctx, s); err != nil { // left by an owner that died, or failed half-way
		return err
	}
	if err := x.endWriters(ctx, s, forEver); err != nil {
		return err
	}
	if err := x.forgetAll(ctx, s); err != nil {
		return err
	}
	return s.Change(ctx, x.token, backends.Transition{From: []backends.State{backends.Active}, To: backends.Active, Release: true})
}

func (x *run) forgetAll(ctx context.Context, s backends.Store) error {
	for {
		entries, err := s.Captured(ctx, "", batchKeys)
		if err != nil {
			return err
		}
		checked, err := s.ToVerify(ctx, batchKeys)
		if err != nil || len(entries)+len(checked) == 0 {
			return err
		}
		if err := errors.Join(s.Forget(ctx, x.token, entries), s.Verified(ctx, x.token, checked)); err != nil {
			return err
		}
	}
}

// undo takes back a move that has not committed: the source as it was, nothing at
// the target. A target out of reach is left behind after a while, to be erased later, and
// a source that is not there is given up, unless it may be sealed.
func (x *run) undo(ctx context.Context) error {
	if x.undoing.IsZero() {
		x.undoing = time.Now()
	}
	x.sourceKept = false
	patient := time.Since(x.undoing) < x.tolerance
	if err := x.undoSource(ctx); err != nil {
		if patient || x.m.Cut != NotCut || !errors.Is(err, backends.ErrNoPlace) {
			return err
		}
		x.gate("clean-up of the source", "given up: "+err.Error())
		x.sourceKept = true // where capture would go on for ever, should it come back
	}
	if err := x.undoTarget(ctx); err != nil {
		if patient {
			return err
		}
		return x.undoLater(ctx, err)
	}
	if x.m.Cause != "" {
		return x.enter(ctx, Failed)
	}
	if x.m.Stats.Rehearsed {
		return x.end(ctx, Rehearsed)
	}
	return x.enter(ctx, Cancelled)
}

// undoLater ends a move whose target cannot be cleaned up now. A rehearsal that leaves
// something behind has not gone well.
func (x *run) undoLater(ctx context.Context, away error) error {
	x.log.WarnContext(ctx, "a move ends and what it made cannot be erased yet", "move", x.m.ID, "storefront", x.m.Storefront, "backend", x.m.Target.Backend, "error", away)
	x.gate("clean-up of the target", "put off: "+away.Error())
	outcome := Cancelled
	if x.m.Cause != "" || x.m.Stats.Rehearsed {
		outcome = Failed
	}
	return x.enter(ctx, outcome, func(m *Move) {
		m.LeftBehind = m.Target.Backend
		if m.Cause == "" && m.Stats.Rehearsed {
			m.Cause = "the rehearsal went well, but what it made at the target is still there: " + away.Error()
			m.Advice = "The storefront is where it was. What is left is erased when the target can be reached again."
		}
	})
}

func (x *run) undoSource(ctx context.Context) error {
	if x.source == nil {
		return fmt.Errorf("the source: %w", backends.ErrNoPlace)
	}
	return x.retire(ctx, x.m.Source)
}

func (x *run) undoTarget(ctx context.Context) error {
	s, release, err := x.stores.Acquire(ctx, x.m.Target)
	if err == nil {
		var f backends.Fence
		if f, err = s.Fence(ctx); err == nil && f.State != backends.Absent && f.Move != x.m.ID {
			err = backends.ErrStaleToken // also one of nobody's, as a backup brings it back
		}
		if err == nil {
			err = s.Takeover(ctx, x.token)
		}
		if err == nil && f.State != backends.Absent {
			err = x.fit(ctx, s)
		}
		release()
	}
	if errors.Is(err, backends.ErrNoPlace) { // never made, or half made
		return x.destroy(ctx, x.m.Target)
	}
	if errors.Is(err, backends.ErrStaleToken) {
		return nil // not ours: what made this move fail in the first place
	}
	if err == nil {
		err = x.erase(ctx, x.m.Target)
	}
	if errors.Is(err, backends.ErrNotEmpty) {
		return nil // rows that were there before this move
	}
	return err
}
