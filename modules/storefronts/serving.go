package storefronts

import (
	"context"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/platform/cache"
	"smartseller/platform/clock"
)

const (
	servingFresh = 5 * time.Second // how long a change of status may go unnoticed
	servingMost  = 10000
)

// serving remembers which storefront a slug names, so that a request does not
// need the control database: while that is away, storefronts serve on.
type serving struct {
	clock clock.Clock
	known *cache.Cache[string, sighting]
}

type sighting struct {
	storefront Storefront
	at         time.Time
}

func newServing(c clock.Clock) *serving {
	return &serving{clock: c, known: cache.New[string, sighting](servingMost)}
}

func (v *serving) get(slug string) (seen sighting, fresh, ok bool) {
	seen, ok = v.known.Get(slug)
	return seen, ok && v.clock().Sub(seen.at) < servingFresh, ok
}

func (v *serving) put(slug string, s Storefront) {
	v.known.Put(slug, sighting{storefront: s, at: v.clock()})
}

// Serving finds the storefront that a slug names, for its own API: as it was at
// most five seconds ago, or, while the control database does not answer, when it
// last did. backends.ErrNoStorefront when there is none. Its Backend and Epoch may
// be out of date: the Router knows those.
func (s *Service) Serving(ctx context.Context, slug string) (Storefront, error) {
	if !possible(slug) {
		return Storefront{}, backends.ErrNoStorefront
	}
	seen, fresh, known := s.serving.get(slug)
	if fresh {
		return seen.storefront, nil
	}
	found, err := s.Find(ctx, slug)
	switch {
	case err == nil && found.Slug != slug: // an id is no slug
		return Storefront{}, backends.ErrNoStorefront
	case err == nil:
		s.serving.put(slug, found)
	case errors.Is(err, backends.ErrNoStorefront):
		s.serving.known.Drop(slug)
	case known && ctx.Err() == nil:
		return seen.storefront, nil
	}
	return found, err
}

// Open finds a storefront as Serving does; ErrSuspended when it serves nobody.
func (s *Service) Open(ctx context.Context, slug string) (Storefront, error) {
	found, err := s.Serving(ctx, slug)
	if err == nil && found.Status != "active" {
		return Storefront{}, ErrSuspended
	}
	return found, err
}
