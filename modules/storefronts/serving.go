package storefronts

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"smartseller/backends"
	"smartseller/platform/cache"
	"smartseller/platform/clock"
	"smartseller/platform/control"
)

const (
	servingFresh = 5 * time.Second // how long a change of status may go unnoticed
	absentFresh  = time.Second     // how long a storefront that another instance created
	servingMost  = 10000           // of each
	lookUpWithin = 2 * time.Second
	askAgain     = time.Second // once the control database has not answered
	// knownWithin is how long who asks for what is known waits for something newer.
	knownWithin = 250 * time.Millisecond
)

// serving remembers which storefront a slug names, so that a request does not
// need the control database: while that is away, storefronts serve on.
type serving struct {
	clock clock.Clock
	find  func(ctx context.Context, ref string) (Storefront, error)
	known *cache.Cache[string, sighting]
	asked singleflight.Group

	mu      sync.Mutex // so that what was absent before a creation is not remembered behind it
	absent  *cache.Cache[string, time.Time]
	created int64 // storefronts, by this instance
}

type sighting struct {
	storefront Storefront
	at         time.Time
}

func newServing(c clock.Clock, find func(context.Context, string) (Storefront, error)) *serving {
	return &serving{clock: c, find: find, known: cache.New[string, sighting](servingMost), absent: cache.New[string, time.Time](servingMost)}
}

func (v *serving) get(slug string) (seen sighting, fresh, ok bool) {
	seen, ok = v.known.Get(slug)
	return seen, ok && v.clock().Sub(seen.at) < servingFresh, ok
}

func (v *serving) isAbsent(slug string) bool {
	at, ok := v.absent.Get(slug)
	return ok && v.clock().Sub(at) < absentFresh
}

var errSlow = errors.New("the control database takes its time")

// ask looks a slug up, once for all who ask meanwhile. Who began may leave, and who knows
// the storefront already soon does, by errSlow: the others get their answer.
func (v *serving) ask(ctx context.Context, slug string, known bool) (Storefront, error) {
	answer := v.asked.DoChan(slug, func() (any, error) {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookUpWithin)
		defer cancel()
		return v.lookUp(within, slug)
	})
	var enough <-chan time.Time
	if known {
		timer := time.NewTimer(knownWithin)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-ctx.Done():
		return Storefront{}, ctx.Err()
	case <-enough:
		v.mu.Lock()
		defer v.mu.Unlock()
		v.postpone(slug)
		return Storefront{}, errSlow
	case a := <-answer:
		found, _ := a.Val.(Storefront)
		return found, a.Err
	}
}

func (v *serving) lookUp(ctx context.Context, slug string) (Storefront, error) {
	v.mu.Lock()
	before, at := v.created, v.clock()
	v.mu.Unlock()
	found, err := v.find(ctx, slug)
	switch {
	case err == nil && found.Slug != slug: // an id is no slug
		err = backends.ErrNoStorefront
	case errors.Is(err, context.DeadlineExceeded):
		err = control.ErrAway.Because(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil:
		v.known.Put(slug, sighting{found, at})
	case !errors.Is(err, backends.ErrNoStorefront):
		v.postpone(slug)
	case v.created == before:
		v.known.Drop(slug)
		v.absent.Put(slug, at)
	}
	return found, err
}

// postpone makes what is known of a slug count as fresh for a while.
func (v *serving) postpone(slug string) {
	until := v.clock().Add(askAgain - servingFresh)
	if seen, ok := v.known.Get(slug); ok && seen.at.Before(until) {
		seen.at = until
		v.known.Put(slug, seen)
	}
}

// create is told of a slug that names a storefront from now on: whoever asks now must
// find it, and not join a look-up that may have come before.
func (v *serving) create(slug string) {
	v.mu.Lock()
	v.created++
	v.absent.Drop(slug)
	v.mu.Unlock()
	v.asked.Forget(slug)
}

// Serving finds the storefront that a slug names, for its own API: as it was at
// most five seconds ago, or, while the control database does not answer, when it
// last did. backends.ErrNoStorefront when there is none; one that another instance
// created may not be there yet for a second. Its Backend and Epoch may be out of date: the
// Router knows those.
func (s *Service) Serving(ctx context.Context, slug string) (Storefront, error) {
	seen, fresh, known := s.serving.get(slug)
	if fresh {
		return seen.storefront, nil
	}
	if !possible(slug) || s.serving.isAbsent(slug) {
		return Storefront{}, backends.ErrNoStorefront
	}
	found, err := s.serving.ask(ctx, slug, known)
	switch {
	case err == nil:
		return found, nil
	case known && !errors.Is(err, backends.ErrNoStorefront) && ctx.Err() == nil:
		return seen.storefront, nil
	}
	return Storefront{}, err
}

// Open finds a storefront as Serving does; ErrSuspended when it serves nobody.
func (s *Service) Open(ctx context.Context, slug string) (Storefront, error) {
	found, err := s.Serving(ctx, slug)
	if err == nil && found.Status != "active" {
		return Storefront{}, ErrSuspended
	}
	return found, err
}
