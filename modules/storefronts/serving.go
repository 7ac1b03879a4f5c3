package storefronts

import (
	"context"
	"errors"
	"sync"
	"time"

	"smartseller/backends"
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

	mu    sync.Mutex
	known map[string]sighting
}

type sighting struct {
	storefront Storefront
	at         time.Time
}

func newServing(c clock.Clock) *serving { return &serving{clock: c, known: map[string]sighting{}} }

func (v *serving) get(slug string) (seen sighting, fresh, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen, ok = v.known[slug]
	return seen, ok && v.clock().Sub(seen.at) < servingFresh, ok
}

func (v *serving) put(slug string, s Storefront) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.known[slug]; !ok && len(v.known) >= servingMost {
		for victim := range v.known { // any: it costs one look-up to bring back
			delete(v.known, victim)
			break
		}
	}
	v.known[slug] = sighting{storefront: s, at: v.clock()}
}

func (v *serving) drop(slug string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, slug)
}

// Serving finds the storefront that a slug names, for its own API: as it was at
// most five seconds ago, or, while the control database does not answer, when it
// last did. backends.ErrNoStorefront when there is none. Its Backend and Epoch may
// be out of date: the Router knows those.
func (s *Service) Serving(ctx context.Context, slug string) (Storefront, error) {
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
		s.serving.drop(slug)
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
