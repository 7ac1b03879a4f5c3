package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// purgeAbandoned purges a place that a move abandoned.
func purgeAbandoned(ctx context.Context, s backends.Store, token backends.Token) error {
	return purgeLeft(ctx, s, token, func(_ int64, took time.Duration) error { return pause(ctx, took) }) // half of the time
}

// heldError says that a place cannot be taken over yet: an owner that was stopped, or is cut
// off, makes an index there, which holds the fence and ends by itself, after minutes; or another
// program keeps a file locked, without which the move could not be undone either.
type heldError struct{ error }

func (e *heldError) Unwrap() error { return e.error }

func (x *run) heldByAnother(p backends.Place, err error) error {
	if errors.Is(err, backends.ErrContended) {
		x.heldAt = p
		return &heldError{err}
	}
	if x.heldAt == p {
		x.heldAt = backends.Place{}
		x.works() // what comes behind it is another trouble
	}
	return err
}

// noteLateTarget has the target swept that a run may have made when its move had been given
// up already: whoever undid the move did not find it.
func (x *run) noteLateTarget(ctx context.Context, ended error) {
	if x.m.Phase != Preparing || !errors.Is(ended, errLost) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := x.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		m, err := readMove(tx, x.m.ID, true)
		if err != nil || m.LeftBehind != "" || !slices.Contains([]Phase{Cancelling, Cancelled, Failed, Rehearsed, RolledBack}, m.Phase) {
			return err
		}
		m.LeftBehind = m.Target.Backend
		return writeMove(tx, m)
	})
	if err != nil {
		x.log.WarnContext(ctx, "what a move made that had been given up is not noted; nobody will erase it", "move", x.m.ID, "backend", x.m.Target.Backend, "error", err)
	}
}

// freeSource takes the source from a move that ended while its place was not there. Who has left
// the place for good, and could not tell it, keeps it closed: nothing but erasing follows.
func (x *run) freeSource(ctx context.Context) error {
	open := []backends.State{backends.Active, backends.Sealed, backends.Closed}
	keeps := func(m *Move, _ backends.Fence) bool { return m.Phase != Completed }
	return x.deadHand(ctx, x.m.Source, keeps, func(s backends.Store, dead backends.Token) error {
		return s.Change(ctx, dead, backends.Transition{From: open, To: backends.Active, Release: true})
	})
}

// clearTarget removes what a move left at the target that ended while it was out of reach.
func (x *run) clearTarget(ctx context.Context) error {
	left := func(m *Move, f backends.Fence) bool { return m.gaveUp(x.m.Target, f) }
	return x.deadHand(ctx, x.m.Target, left, func(s backends.Store, dead backends.Token) error {
		return purgeAbandoned(ctx, s, dead)
	})
}

// deadHand runs fn on a place that another move holds, with that move's token, if that has ended
// and gave the place up.
func (x *run) deadHand(ctx context.Context, p backends.Place, gaveUp func(m *Move, f backends.Fence) bool, fn func(s backends.Store, dead backends.Token) error) error {
	s, release, err := x.stores.Acquire(ctx, p)
	if err != nil {
		return err
	}
	defer release()
	f, err := s.Fence(ctx)
	if err != nil {
		return err
	}
	m, err := readEnded(ctx, x.db, f.Move)
	if err != nil {
		return err
	}
	if m == nil || !gaveUp(m, f) {
		return fmt.Errorf("%w, of move %s, which has not been given up", backends.ErrNotEmpty, f.Move)
	}
	return fn(s, backends.Token{Move: f.Move, Gen: f.Gen})
}

// gaveUp says whether an ended move has left a place, which holds its fence, for good: it never
// reached its goal, or could not erase what it left; or an owner that was stopped for long began
// to make its target once more.
func (m *Move) gaveUp(p backends.Place, f backends.Fence) bool {
	return m.Phase != Completed || p.Backend == m.Source.Backend || f.State == backends.Loading
}

// readEnded reads a move that has ended; nil: there is none of that id.
func readEnded(ctx context.Context, db *control.DB, id string) (ended *Move, err error) {
	err = db.View(ctx, func(_ context.Context, tx control.Tx) error {
		ended = nil
		m, err := readMove(tx, id, false)
		if errors.Is(err, ErrNoMove) {
			return nil
		}
		if err == nil && m.EndedAt != nil {
			ended = m
		}
		return err
	})
	return ended, err
}
