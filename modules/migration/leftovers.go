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

// clearTarget removes what a move left at the target that ended while it was out of reach.
func (x *run) clearTarget(ctx context.Context) error {
	return x.deadHand(ctx, x.m.Target, func(s backends.Store, dead backends.Token) error {
		return purgeAbandoned(ctx, s, dead)
	})
}

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

// freeSource takes the source from a move that ended while its place was not there.
func (x *run) freeSource(ctx context.Context) error {
	open := []backends.State{backends.Active, backends.Sealed, backends.Closed}
	return x.deadHand(ctx, x.m.Source, func(s backends.Store, dead backends.Token) error {
		return s.Change(ctx, dead, backends.Transition{From: open, To: backends.Active, Release: true})
	})
}

// deadHand runs fn on a place that another move holds, with that move's token, if it
// has ended without reaching its goal, or without erasing what it left.
func (x *run) deadHand(ctx context.Context, p backends.Place, fn func(s backends.Store, dead backends.Token) error) error {
	s, release, err := x.stores.Acquire(ctx, p)
	if err != nil {
		return err
	}
	defer release()
	f, err := s.Fence(ctx)
	if err != nil {
		return err
	}
	ended, err := givenUp(ctx, x.db, f.Move, p)
	if err != nil {
		return err
	}
	if !ended {
		return fmt.Errorf("%w, of move %s, which has not been given up", backends.ErrNotEmpty, f.Move)
	}
	return fn(s, backends.Token{Move: f.Move, Gen: f.Gen})
}

// givenUp says whether a move has ended without reaching its goal, or without erasing
// what it left at a place.
func givenUp(ctx context.Context, db *control.DB, move string, p backends.Place) (ended bool, err error) {
	err = db.View(ctx, func(_ context.Context, tx control.Tx) error {
		m, err := readMove(tx, move, false)
		if errors.Is(err, ErrNoMove) {
			return nil
		}
		ended = err == nil && m.EndedAt != nil && (m.Phase != Completed || p.Backend == m.Source.Backend)
		return err
	})
	return ended, err
}
