package backends

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// placementWithin bounds a look at the control database for those who wait.
	placementWithin = 2 * time.Second
	// placementEvery is the least time between two such looks.
	placementEvery = 5 * time.Millisecond
)

// parking is where requests wait for a storefront's cutover. They share what they ask of
// the control database: the mover that ends their wait needs its few connections.
type parking struct {
	waiting int // guarded by the router
	find    func(ctx context.Context) (Placement, error)

	mu      sync.Mutex
	next    *look         // not begun yet: who asks now joins it
	looking bool          // somebody does what is next
	changed chan struct{} // closed when the storefront is elsewhere, or open there
}

// look is one question for all who asked before it began.
type look struct {
	done      chan struct{} // closed when placement and err are set
	placement Placement
	err       error
}

func newParking(find func(ctx context.Context) (Placement, error)) *parking {
	return &parking{find: find, changed: make(chan struct{})}
}

var errSlowLook = errors.New("the control database did not say in time where the storefront is")

// placement is where the storefront is, by a look that began after the call.
func (p *parking) placement(ctx context.Context, within time.Duration) (Placement, error) {
	p.mu.Lock()
	if p.next == nil {
		p.next = &look{done: make(chan struct{})}
	}
	mine := p.next
	if !p.looking {
		p.looking = true
		go p.lookOn()
	}
	p.mu.Unlock()
	timer := time.NewTimer(max(0, within))
	defer timer.Stop()
	select {
	case <-mine.done:
		return mine.placement, mine.err
	case <-ctx.Done():
		return Placement{}, context.Cause(ctx)
	case <-timer.C:
		return Placement{}, errSlowLook
	}
}

// lookOn answers one look after the other, until nobody asks.
func (p *parking) lookOn() {
	for {
		p.mu.Lock()
		now := p.next
		p.next, p.looking = nil, now != nil
		p.mu.Unlock()
		if now == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), placementWithin)
		now.placement, now.err = p.find(ctx)
		cancel()
		close(now.done)
		time.Sleep(placementEvery)
	}
}

// change wakes all who wait.
func (p *parking) change() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// changes is closed at the next change.
func (p *parking) changes() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}
