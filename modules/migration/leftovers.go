package migration

import (
	"context"
	"errors"
	"fmt"

	"smartseller/backends"
	"smartseller/platform/control"
)

// clearTarget removes what a move left at the target that ended while it was out of reach.
func (x *run) clearTarget(ctx context.Context) error {
	return x.deadHand(ctx, x.m.Target, func(s backends.Store, dead backends.Token) error {
		return purgeAll(ctx, s, dead, nil)
	})
}

// freeSource takes the source from a move that ended while its place was not there.
func (x *run) freeSource(ctx context.Context) error {
	open := []backends.State{backends.Active, backends.Sealed, backends.Closed}
	return x.deadHand(ctx, x.m.Source, func(s backends.Store, dead backends.Token) error {
		return s.Change(ctx, dead, backends.Transition{From: open, To: backends.Active, Release: true})
	})
}

// deadHand runs fn on a place that another move holds, with that move's token, if it
// has ended without reaching its goal.
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
	ended := false
	err = x.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		m, err := readMove(tx, f.Move, false)
		if errors.Is(err, ErrNoMove) {
			return nil
		}
		ended = err == nil && m.EndedAt != nil && m.Phase != Completed
		return err
	})
	if err != nil {
		return err
	}
	if !ended {
		return fmt.Errorf("%w, of move %s, which has not been given up", backends.ErrNotEmpty, f.Move)
	}
	return fn(s, backends.Token{Move: f.Move, Gen: f.Gen})
}
