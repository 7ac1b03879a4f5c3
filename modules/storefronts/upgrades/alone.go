package upgrades

import (
	"context"
	"sync"

	"smartseller/backends"
	"smartseller/platform/fault"
)

var errStopping = fault.New(fault.Unavailable, "upgrade_stopped",
	"The server stops, and the place may not be upgraded: ask again, another server too.").Retry(1)

// alone keeps the upgrades of single places that were asked for. They go on without who
// asked: a migration that is cut off has to begin anew.
type alone struct {
	life context.Context // ends at Stop
	end  context.CancelFunc

	mu      sync.Mutex
	going   map[backends.StorefrontID]*single // those that are under way
	stopped bool
	all     sync.WaitGroup
}

// single is the upgrade of one place.
type single struct {
	done chan struct{} // closed when err is set
	err  error
}

func newAlone() *alone {
	life, end := context.WithCancel(context.Background())
	return &alone{life: life, end: end, going: map[backends.StorefrontID]*single{}}
}

// Stop ends the upgrades of single places, and returns when none is under way.
func (s *Service) Stop() {
	a := s.alone
	a.mu.Lock()
	a.stopped = true
	a.mu.Unlock()
	a.end()
	a.all.Wait()
}

// bringAlone is bring for a storefront's place that somebody waits for, as long as ctx lasts.
func (s *Service) bringAlone(ctx context.Context, p Place) error {
	one := s.alone.join(p.Storefront, func(life context.Context) error {
		// Not in the first one's context, but for what it knows of the request.
		detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		return s.bring(detached, &p)
	})
	select {
	case <-one.done:
		return one.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// join gives the upgrade of a storefront's place that is under way, or begins it.
func (a *alone) join(storefront backends.StorefrontID, upgrade func(life context.Context) error) *single {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.going[storefront]
	if one != nil {
		return one
	}
	one = &single{done: make(chan struct{}), err: errStopping}
	if a.stopped {
		close(one.done)
		return one
	}
	a.going[storefront] = one
	a.all.Go(func() {
		err := upgrade(a.life)
		if err != nil && a.life.Err() != nil {
			err = errStopping.Because(err)
		}
		a.mu.Lock()
		one.err = err
		delete(a.going, storefront)
		a.mu.Unlock()
		close(one.done)
	})
	return one
}
