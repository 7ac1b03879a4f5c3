package auth

import (
	"context"
	"slices"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/platform/fault"
)

// longestWait of those who wait to hash.
const longestWait = 2 * time.Second

var errBusy = fault.New(fault.Unavailable, "busy", "Too many people are logging in at this moment; try again.").Retry(1)

// gate lets a few hash at a time, and others wait, within bounds. Storefronts take turns,
// so that a crowd at one makes nobody wait long at another. While nobody else waits, a
// storefront may fill the queue; when it is full, who comes from elsewhere takes the place
// of the last one of a storefront that has more than half of it.
type gate struct {
	most int // that wait

	mu      sync.Mutex
	free    int // slots
	waiting int
	lines   []*line // that nobody waits in there are none of; the first is next
}

// line is who waits at one storefront.
type line struct {
	of      backends.StorefrontID
	waiters []chan error // told once: nil, to come in, or errBusy
}

func newGate(slots, most int) *gate { return &gate{free: slots, most: most} }

// enter waits for a slot, which leave gives back; errBusy when that takes too long.
func (g *gate) enter(ctx context.Context, of backends.StorefrontID) (leave func(), err error) {
	told, err := g.join(of)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case err := <-told:
		return g.leave, err
	case <-timer.C:
		err = errBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !g.giveUp(of, told) && <-told == nil { // let in at this very moment
		g.leave()
	}
	return nil, err
}

// join is told when it is its turn.
func (g *gate) join(of backends.StorefrontID) (told chan error, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	told = make(chan error, 1)
	if g.free > 0 {
		g.free--
		told <- nil
		return told, nil
	}
	if g.waiting == g.most && !g.makeRoom(of) {
		return nil, errBusy
	}
	i := g.find(of)
	if i < 0 {
		i = len(g.lines)
		g.lines = append(g.lines, &line{of: of})
	}
	g.lines[i].waiters = append(g.lines[i].waiters, told)
	g.waiting++
	return told, nil
}

// leave passes a slot on.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.lines) == 0 {
		g.free++
		return
	}
	next := g.lines[0]
	g.lines = append(g.lines[1:], next) // its turn comes again behind all others
	g.tell(len(g.lines)-1, 0, nil)
}

// makeRoom sends somebody of another storefront away, if that has more than half of
// the queue.
func (g *gate) makeRoom(of backends.StorefrontID) bool {
	i := slices.IndexFunc(g.lines, func(l *line) bool { return 2*len(l.waiters) > g.most })
	if i < 0 || g.lines[i].of == of {
		return false
	}
	g.tell(i, len(g.lines[i].waiters)-1, errBusy)
	return true
}

// giveUp says whether it was still waiting.
func (g *gate) giveUp(of backends.StorefrontID, told chan error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := g.find(of)
	if i < 0 {
		return false
	}
	at := slices.Index(g.lines[i].waiters, told)
	if at < 0 {
		return false
	}
	g.tell(i, at, errBusy)
	return true
}

func (g *gate) find(of backends.StorefrontID) int {
	return slices.IndexFunc(g.lines, func(l *line) bool { return l.of == of })
}

// tell takes one out of a line.
func (g *gate) tell(i, at int, what error) {
	l := g.lines[i]
	l.waiters[at] <- what
	l.waiters = slices.Delete(l.waiters, at, at+1)
	g.waiting--
	if len(l.waiters) == 0 {
		g.lines = slices.Delete(g.lines, i, i+1)
	}
}
