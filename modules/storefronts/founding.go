package storefronts

import (
	"context"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/failpoint"
	"smartseller/platform/fault"
)

// A place is made before its storefront begins, so that there is never a storefront
// without one. That it is being made is written down first: whatever happens, somebody
// knows of a place that nobody needs, and removes it.

const (
	tidyWithin = 10 * time.Second
	// foundWithin is longer than an instance takes to make a place. One that takes longer
	// yet finds that it was given up.
	foundWithin = 2 * time.Minute
	purgeRows   = 1000
)

var errGivenUp = fault.New(fault.Unavailable, "founding_given_up", "Making the storefront was given up, since it took too long: try again.").Retry(1)

// begin takes down that a place is about to be made; ErrSlugTaken spares it.
func (s *Service) begin(ctx context.Context, made Storefront) error {
	if _, err := s.directory.Backend(ctx, made.Backend); err != nil {
		return err
	}
	return s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := findStorefront(tx, made.Slug)
		if err == nil {
			return ErrSlugTaken
		}
		if !errors.Is(err, backends.ErrNoStorefront) {
			return err
		}
		if err := s.directory.HoldBackend(tx, made.Backend); err != nil {
			return err
		}
		return insertFounding(tx, made)
	})
}

// finish makes the place and begins the storefront, or leaves nothing behind.
func (s *Service) finish(ctx context.Context, made *Storefront) error {
	err := s.found(ctx, made.placement())
	failpoint.Reach("storefront-founded")
	if err == nil {
		err = s.settle(ctx, made)
	}
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyWithin)
	defer cancel()
	return errors.Join(err, s.giveUp(ctx, made.founding()))
}

// settle is the moment at which the storefront begins. The unique key decides whose
// the slug is.
func (s *Service) settle(ctx context.Context, made *Storefront) error {
	return s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		n, err := endFounding(tx, made.ID, false)
		if err != nil {
			return err
		}
		if n == 0 {
			return errGivenUp
		}
		made.CreatedAt = tx.Now()
		if err := insertStorefront(tx, *made); err != nil {
			return err
		}
		return s.directory.Settle(tx, made.placement())
	})
}

// Tidy removes the places that instances which died have left. Those that are out of
// reach, and those that may still be in the making, are left to a later call.
func (s *Service) Tidy(ctx context.Context) error {
	return s.giveUpAll(ctx, func(tx control.Tx) ([]founding, error) {
		return foundingsBefore(tx, tx.Now()-foundWithin.Microseconds())
	})
}

// GiveUp removes the places that were made for a slug and that no storefront has. Who
// is making one at this moment finds that it was given up.
func (s *Service) GiveUp(ctx context.Context, slug string) error {
	return s.giveUpAll(ctx, func(tx control.Tx) ([]founding, error) { return foundingsOf(tx, slug) })
}

func (s *Service) giveUpAll(ctx context.Context, which func(control.Tx) ([]founding, error)) error {
	var found []founding
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		found, err = which(tx)
		return err
	})
	for _, f := range found {
		err = errors.Join(err, s.giveUp(ctx, f))
	}
	return err
}

// giveUp removes the place, unless its storefront has begun: that is decided first, for
// good, and waits for a commit whose answer was lost.
func (s *Service) giveUp(ctx context.Context, f founding) error {
	begun := false
	err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		n, err := stopFounding(tx, f.ID)
		if begun = false; err != nil || n > 0 {
			return err
		}
		// It has begun, or was given up by somebody else before its place was made.
		_, err = findStorefront(tx, string(f.ID))
		if begun = err == nil; errors.Is(err, backends.ErrNoStorefront) {
			return nil
		}
		return err
	})
	if err != nil || begun {
		return err
	}
	if err := s.erase(ctx, f.place()); err != nil && !errors.Is(err, backends.ErrNoBackend) {
		return err
	}
	return s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := endFounding(tx, f.ID, true)
		return err
	})
}

// erase leaves nothing of a place that holds no more than its fence. Repeating it is
// no error.
func (s *Service) erase(ctx context.Context, p backends.Place) error {
	b, err := s.directory.Backend(ctx, p.Backend)
	if err != nil {
		return err
	}
	if err := s.empty(ctx, p); err != nil && !errors.Is(err, backends.ErrNoPlace) {
		return err
	}
	s.stores.Drop(p)
	return b.Destroy(ctx, p)
}

// empty purges a place. Its fence is closed before, in the name of a move that there
// is not, so that nobody enters it meanwhile.
func (s *Service) empty(ctx context.Context, p backends.Place) error {
	store, release, err := s.stores.Acquire(ctx, p)
	if err != nil {
		return err
	}
	defer release()
	fence, err := store.Fence(ctx)
	if err != nil || fence.State == backends.Absent {
		return err
	}
	token := backends.Token{Move: "founding", Gen: 1}
	if fence.State == backends.Active {
		err = errors.Join(store.Enlist(ctx, token),
			store.Change(ctx, token, backends.Transition{From: []backends.State{backends.Active}, To: backends.Moved}))
	}
	if err == nil {
		_, err = store.Purge(ctx, token, purgeRows)
	}
	return err
}
