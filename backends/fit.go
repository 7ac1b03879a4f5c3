package backends

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"smartseller/platform/fault"
)

// ErrOutdated says that a request came to a place whose schema this program cannot
// work with: it is behind and may not be upgraded now, or a newer program took away
// what this one reads. The cause, for logs, says which.
var ErrOutdated = fault.New(fault.Unavailable, "storefront_outdated",
	"The storefront's database is at another version than this program; its operator finds out why by: smartseller schema status.").Retry(5)

// ErrUpgrading says that the place is being upgraded.
var ErrUpgrading = fault.New(fault.Unavailable, "storefront_upgrading", "The storefront is being upgraded; try again.").Retry(1)

const (
	// fitPatience bounds a request's wait for the place's upgrade.
	fitPatience = 2 * time.Second
	// fitWithin bounds the upgrade itself, which goes on without the request.
	fitWithin = time.Hour
	// A move that is in the way of an upgrade ends soon, or is told to: that is waited for,
	// since customers wait for the upgrade.
	wayWithin, wayEvery = 1500 * time.Millisecond, 50 * time.Millisecond
)

// fitness is what is known of the schema of one place, or of all that share a database.
type fitness struct {
	mu    sync.Mutex
	fit   bool // for good: schemas only grow
	check *fitCheck
}

// fitnessOf is a new place's fitness: its own, or its database's. A backend that was
// removed and registered anew is another database.
func (on *shelf) fitnessOf(of Backend) *fitness {
	if !of.Shared() {
		return &fitness{}
	}
	if on.of != of {
		on.of, on.fitness = of, &fitness{}
	}
	return on.fitness
}

type fitCheck struct {
	done chan struct{} // closed when err is set
	err  error
}

// RefuseBehind makes requests to places whose schema is behind fail, instead of
// upgrading these. Call it before the first Acquire.
func (s *Stores) RefuseBehind() { s.refuseBehind = true }

// AcquireFit is Acquire for who needs this program's schema, as modules do. A place
// that is behind is upgraded first, unless RefuseBehind was called: ErrOutdated,
// ErrUpgrading. It costs one query the first time that a place is opened.
func (s *Stores) AcquireFit(ctx context.Context, p Place) (Store, func(), error) {
	store, release, f, err := s.acquire(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if err := s.ensure(ctx, p, f); err != nil {
		release()
		if errors.Is(err, ErrUnreachable) {
			s.dropStore(p, store) // whoever comes next opens it anew
		}
		return nil, nil, err
	}
	return store, release, nil
}

// ensure checks a place once for all who ask at the same time.
func (s *Stores) ensure(ctx context.Context, p Place, f *fitness) error {
	f.mu.Lock()
	if f.fit {
		f.mu.Unlock()
		return nil
	}
	c := f.check
	if c == nil {
		c = &fitCheck{done: make(chan struct{})}
		// Not in the first caller's context: others wait for the same, and an upgrade goes on.
		if !s.begin(func() { s.runCheck(context.WithoutCancel(ctx), p, f, c) }) {
			f.mu.Unlock()
			return errStoresClosed
		}
		f.check = c
	}
	f.mu.Unlock()
	timer := time.NewTimer(fitPatience)
	defer timer.Stop()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return ErrUpgrading
	}
}

// begin runs fn beside the caller, and before Close ends; false after Close.
func (s *Stores) begin(fn func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.openings.Go(fn)
	}
	return !s.closed
}

func (s *Stores) runCheck(ctx context.Context, p Place, f *fitness, c *fitCheck) {
	ctx, cancel := context.WithTimeout(ctx, fitWithin)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	c.err = s.fitWhenFree(ctx, p)
	f.mu.Lock()
	f.fit, f.check = c.err == nil, nil
	f.mu.Unlock()
	close(c.done)
}

// fitWhenFree is Fit as soon as no move is in the way any more.
func (s *Stores) fitWhenFree(ctx context.Context, p Place) error {
	given := time.Now().Add(wayWithin)
	for {
		err := s.Fit(ctx, p, "")
		if !errors.Is(err, ErrPlaceMoving) || time.Now().After(given) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wayEvery):
		}
	}
}

// Fit sees that a place has what this program reads, in the name of a move, or ("") of
// none. One that is behind is upgraded, unless RefuseBehind was called. One that a newer
// program has upgraded will do as long as it lacks nothing: migrations first add, and
// take away when no older program runs. ErrOutdated.
func (s *Stores) Fit(ctx context.Context, p Place, own string) error {
	store, release, err := s.Acquire(ctx, p)
	if err != nil {
		return err
	}
	defer release()
	schema, err := store.Schema(ctx)
	switch {
	case err != nil:
		return err
	case schema.Unknown > 0:
		return s.missing(ctx, store)
	case schema.Pending == 0:
		return nil
	case s.refuseBehind:
		return ErrOutdated.Because(fmt.Errorf("the place on %s is %d migrations behind, and this server is told to refuse it: smartseller schema upgrade", p.Backend, schema.Pending))
	}
	if err := s.directory.Upgrade(ctx, p, own); err != nil {
		return ErrOutdated.Because(fmt.Errorf("upgrade the place on %s: %w", p.Backend, err))
	}
	return nil
}

// missing holds a place that a newer program has upgraded against the catalog.
func (s *Stores) missing(ctx context.Context, store Store) error {
	var lacks []string
	err := store.Read(ctx, func(r Reader) error {
		lacks = nil
		for _, t := range s.directory.Catalog().Tables() {
			live, _, err := r.Shape(t)
			if err != nil {
				return err
			}
			for _, c := range t.Columns {
				if !slices.ContainsFunc(live, func(l Column) bool { return l.Name == c.Name }) {
					lacks = append(lacks, t.Name+"."+c.Name)
				}
			}
		}
		return nil
	})
	if err == nil && len(lacks) > 0 {
		err = ErrOutdated.Because(fmt.Errorf("a newer program has upgraded the place on %s, which lacks now: %v", store.Place().Backend, lacks))
	}
	return err
}
