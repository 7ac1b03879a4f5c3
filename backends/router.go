package backends

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"smartseller/platform/cache"
)

// RouterOptions bounds what a storefront under cutover may cost.
type RouterOptions struct {
	ParkBudget time.Duration // how long a request waits for a cutover; 0: 2 s
	MaxParked  int           // how many requests of one storefront may wait; 0: 1,000
	MaxCached  int           // how many placements are kept; 0: 10,000
}

// Router is the TenantStore that modules hold: it finds the storefront's place,
// enters it at the epoch it believes in, waits out a seal and follows a
// storefront that has moved. Its cache needs no expiry: a wrong belief is
// refused by the fence of the place itself.
type Router struct {
	directory *Directory
	stores    *Stores
	options   RouterOptions
	stall     atomic.Pointer[func(context.Context, StorefrontID)]
	latencies *Latencies
	traffic   *TrafficMeter

	cached *cache.Cache[StorefrontID, Placement]

	mu     sync.Mutex
	parked map[StorefrontID]*parking
}

var _ TenantStore = (*Router)(nil)

// NewRouter makes a router.
func NewRouter(directory *Directory, stores *Stores, options RouterOptions) *Router {
	if options.ParkBudget == 0 {
		options.ParkBudget = 2 * time.Second
	}
	if options.MaxParked == 0 {
		options.MaxParked = 1000
	}
	if options.MaxCached == 0 {
		options.MaxCached = 10000
	}
	return &Router{
		directory: directory, stores: stores, options: options, latencies: NewLatencies(time.Now), traffic: NewTrafficMeter(time.Now),
		cached: cache.New[StorefrontID, Placement](options.MaxCached), parked: map[StorefrontID]*parking{},
	}
}

// Latencies is how long the requests of this instance took at each backend: what a
// mover must not spoil.
func (r *Router) Latencies() *Latencies { return r.latencies }

// Traffic is what the customers of this instance do at each storefront.
func (r *Router) Traffic() *TrafficMeter { return r.traffic }

// OnStall sets what is called when a request has been held for StallAfter: the
// mover finishes or aborts a cutover whose coordinator died.
func (r *Router) OnStall(fn func(ctx context.Context, storefront StorefrontID)) { r.stall.Store(&fn) }

// StallAfter is how long a request is held before OnStall is called.
const StallAfter = 300 * time.Millisecond

// View implements TenantStore.
func (r *Router) View(ctx context.Context, storefront StorefrontID, fn func(context.Context, Tx) error) error {
	began := time.Now()
	err := r.enter(ctx, storefront, func(s Store, epoch int64) error { return s.View(ctx, epoch, fn) })
	if !errors.Is(err, ErrNoStorefront) {
		r.traffic.note(storefront, began, nil)
	}
	return err
}

// Update implements TenantStore.
func (r *Router) Update(ctx context.Context, storefront StorefrontID, fn func(context.Context, Tx) error) error {
	began := time.Now()
	var changes map[string]Changes
	err := r.enter(ctx, storefront, func(s Store, epoch int64) error {
		return s.Update(ctx, epoch, func(ctx context.Context, tx Tx) error {
			changes = map[string]Changes{} // it may run again
			return fn(ctx, &countedTx{Tx: tx, changes: changes})
		})
	})
	if err != nil {
		changes = nil
	}
	if !errors.Is(err, ErrNoStorefront) {
		r.traffic.note(storefront, began, changes)
	}
	return err
}

// Get implements TenantStore.
func (r *Router) Get(ctx context.Context, storefront StorefrontID, dst any, st *Statement, args ...any) error {
	began := time.Now()
	err := r.enter(ctx, storefront, func(s Store, epoch int64) error { return s.Get(ctx, epoch, dst, st, args...) })
	if !errors.Is(err, ErrNoStorefront) {
		r.traffic.note(storefront, began, nil)
	}
	return err
}

// Placement is where the router believes the storefront to be.
func (r *Router) Placement(ctx context.Context, storefront StorefrontID) (Placement, error) {
	if p, ok := r.cached.Get(storefront); ok {
		return p, nil
	}
	return r.refresh(ctx, storefront)
}

func (r *Router) refresh(ctx context.Context, storefront StorefrontID) (Placement, error) {
	p, err := r.directory.Placement(ctx, storefront)
	if err != nil {
		return Placement{}, err
	}
	return r.learn(storefront, p), nil
}

// Learn says where a storefront is open, to whoever has that from the control database.
// Requests that wait for it look at once, also where it was known already that the
// storefront is there: that it opened is the news.
func (r *Router) Learn(storefront StorefrontID, p Placement) {
	r.learn(storefront, p)
	r.wake(storefront)
}

// learn returns what is believed now.
func (r *Router) learn(storefront StorefrontID, p Placement) (believed Placement) {
	news := false
	r.cached.Change(storefront, func(old Placement) Placement {
		believed, news = p, p.Epoch > old.Epoch
		if old.Epoch > p.Epoch {
			believed = old // another request has seen a newer one
		}
		return believed
	})
	if news {
		r.wake(storefront)
	}
	return believed
}

// wake lets all requests of a storefront that wait look at once.
func (r *Router) wake(storefront StorefrontID) {
	r.mu.Lock()
	lot := r.parked[storefront]
	r.mu.Unlock()
	if lot != nil {
		lot.change()
	}
}

// enter tries the believed place and, while a fence refuses, waits and looks
// again until the budget is spent. What fn itself returns ends it at once.
func (r *Router) enter(ctx context.Context, storefront StorefrontID, try func(Store, int64) error) error {
	tried, err := r.visit(ctx, storefront, try)
	if !follow(err) {
		return surface(err)
	}
	lot := r.park(storefront)
	if lot == nil {
		return ErrBusy.Because(err)
	}
	defer r.unpark(storefront)

	began := time.Now()
	told := false
	for {
		changed := lot.changes()
		now, lookup := lot.placement(ctx, max(r.options.ParkBudget-time.Since(began), StallAfter))
		if errors.Is(lookup, ErrNoStorefront) {
			return lookup
		}
		if lookup != nil || now == tried {
			// A refusal where the control database says the storefront is: a cutover
			// is under way. A place that is not there is no part of any move.
			if lookup == nil && errors.Is(err, ErrNoPlace) {
				return ErrDown.Because(err)
			}
			if time.Since(began) > r.options.ParkBudget {
				return ErrBusy.Because(err)
			}
			if stall := r.stall.Load(); stall != nil && !told && time.Since(began) > StallAfter {
				told = true
				go (*stall)(context.WithoutCancel(ctx), storefront)
			}
			if err := pause(ctx, time.Since(began), changed); err != nil {
				return err
			}
		}
		if tried, err = r.visit(ctx, storefront, try); !follow(err) {
			return surface(err)
		}
	}
}

// visit is an attempt, and another one if that finds a place out of reach that the
// storefront has left (somebody may have moved it and erased the place) or that is reached
// when it is opened anew.
func (r *Router) visit(ctx context.Context, storefront StorefrontID, try func(Store, int64) error) (Placement, error) {
	tried, err := r.attempt(ctx, storefront, try)
	if errors.Is(err, ErrUnreachable) {
		if now, lookup := r.refresh(ctx, storefront); errors.Is(err, ErrStaleHandle) || lookup == nil && now != tried {
			return r.attempt(ctx, storefront, try)
		}
	}
	return tried, err
}

// attempt tries the place that the router believes in, and says which.
func (r *Router) attempt(ctx context.Context, storefront StorefrontID, try func(Store, int64) error) (Placement, error) {
	p, err := r.Placement(ctx, storefront)
	if err != nil {
		return p, err
	}
	store, release, err := r.stores.AcquireFit(ctx, p.Place)
	if err != nil {
		return p, err
	}
	defer release()
	started := time.Now()
	err = try(store, p.Epoch)
	r.latencies.Note(p.Place.Backend, time.Since(started))
	if errors.Is(err, ErrUnreachable) {
		r.stores.dropStore(p.Place, store) // whoever comes next opens it anew
	}
	return p, err
}

// follow says that the storefront may be elsewhere, or soon open again.
func follow(err error) bool {
	var refused *Refused
	return errors.As(err, &refused) || errors.Is(err, ErrNoPlace)
}

func surface(err error) error {
	switch {
	case errors.Is(err, ErrFull):
		return ErrNoRoom.Because(err)
	case errors.Is(err, ErrUnreachable):
		return ErrDown.Because(err)
	case errors.Is(err, ErrCommitUnknown):
		return ErrOutcomeUnknown.Because(err)
	}
	return err
}

// pause waits a little, longer the longer the request has waited already, and not when
// there is news. The storefront may be moved by another instance, or not be moved at all:
// then nobody wakes it.
func pause(ctx context.Context, waited time.Duration, news <-chan struct{}) error {
	d := min(8*time.Millisecond+waited/8, 25*time.Millisecond)
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-news:
		return nil
	case <-timer.C:
		return nil
	}
}

// park lets one more request wait; nil when too many do.
func (r *Router) park(storefront StorefrontID) *parking {
	r.mu.Lock()
	defer r.mu.Unlock()
	lot := r.parked[storefront]
	if lot == nil {
		lot = newParking(func(ctx context.Context) (Placement, error) { return r.refresh(ctx, storefront) })
		r.parked[storefront] = lot
	}
	if lot.waiting >= r.options.MaxParked {
		return nil
	}
	lot.waiting++
	return lot
}

func (r *Router) unpark(storefront StorefrontID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lot := r.parked[storefront]
	if lot.waiting--; lot.waiting == 0 {
		delete(r.parked, storefront)
	}
}

// Parked says how many requests of the storefront wait for a cutover.
func (r *Router) Parked(storefront StorefrontID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if lot := r.parked[storefront]; lot != nil {
		return lot.waiting
	}
	return 0
}
