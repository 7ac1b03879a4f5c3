package backends

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// Stores keeps opened stores for reuse and bounds how many of one backend are
// open: the least recently used that nobody holds is closed. Safe for
// concurrent use.
type Stores struct {
	directory *Directory
	limit     int

	mu   sync.Mutex
	open map[Place]*held
	idle map[string]*list.List // by backend: *held that nobody uses, most recent first
	size map[string]int        // by backend: all that are open
}

type held struct {
	place Place
	ready chan struct{} // closed when store and err are set
	store Store
	err   error
	users int
	idle  *list.Element // its place in the idle list; nil while in use
	drop  bool          // close as soon as nobody uses it
}

// NewStores makes the pool; maxOpen bounds the open stores of each backend that
// nobody is using. Stores in use are bounded by the requests under way.
func NewStores(directory *Directory, maxOpen int) *Stores {
	return &Stores{
		directory: directory, limit: maxOpen,
		open: map[Place]*held{}, idle: map[string]*list.List{}, size: map[string]int{},
	}
}

// Acquire opens a place's store, or shares the one that is open. The caller
// calls release when done, exactly once, and not Close.
func (s *Stores) Acquire(ctx context.Context, p Place) (store Store, release func(), err error) {
	s.mu.Lock()
	h := s.open[p]
	first := h == nil
	if first {
		h = &held{place: p, ready: make(chan struct{})}
		s.open[p] = h
		s.size[p.Backend]++
	}
	h.users++
	if h.idle != nil {
		s.idle[p.Backend].Remove(h.idle)
		h.idle = nil
	}
	s.mu.Unlock()

	if first {
		// Not the first caller's context alone: others wait for the same opening.
		h.store, h.err = s.openPlace(context.WithoutCancel(ctx), p)
		close(h.ready)
	}
	select {
	case <-h.ready:
	case <-ctx.Done():
		s.release(h)
		return nil, nil, context.Cause(ctx)
	}
	if h.err != nil {
		s.release(h)
		return nil, nil, h.err
	}
	return h.store, sync.OnceFunc(func() { s.release(h) }), nil
}

func (s *Stores) openPlace(ctx context.Context, p Place) (Store, error) {
	b, err := s.directory.Backend(ctx, p.Backend)
	if err != nil {
		return nil, err
	}
	return b.Open(ctx, p)
}

func (s *Stores) release(h *held) {
	s.mu.Lock()
	h.users--
	var victims []*held
	if h.users == 0 {
		if s.failed(h) || h.drop {
			victims = append(victims, s.forget(h))
		} else {
			victims = s.rest(h)
		}
	}
	s.mu.Unlock()
	for _, v := range victims {
		v.close()
	}
}

// failed says that opening did not work; such a place is tried again next time.
func (s *Stores) failed(h *held) bool {
	select {
	case <-h.ready:
		return h.err != nil
	default:
		return false
	}
}

// rest puts a store that nobody uses on the idle list and returns those that
// are now too many.
func (s *Stores) rest(h *held) (victims []*held) {
	idle := s.idle[h.place.Backend]
	if idle == nil {
		idle = list.New()
		s.idle[h.place.Backend] = idle
	}
	h.idle = idle.PushFront(h)
	for s.size[h.place.Backend] > s.limit && idle.Len() > 0 {
		victims = append(victims, s.forget(idle.Back().Value.(*held)))
	}
	return victims
}

// forget takes a store out of the pool; the caller closes it outside the lock.
func (s *Stores) forget(h *held) *held {
	if h.idle != nil {
		s.idle[h.place.Backend].Remove(h.idle)
		h.idle = nil
	}
	if s.open[h.place] == h {
		delete(s.open, h.place)
	}
	s.size[h.place.Backend]--
	return h
}

func (h *held) close() {
	<-h.ready
	if h.store != nil {
		// A store that fails to close has nothing left to lose: what was
		// acknowledged is durable.
		_ = h.store.Close()
	}
}

// Drop closes a place's store as soon as nobody uses it; who acquires the place
// from now on gets a new one.
func (s *Stores) Drop(p Place) {
	s.mu.Lock()
	h := s.open[p]
	if h == nil {
		s.mu.Unlock()
		return
	}
	h.drop = true
	if h.users > 0 {
		delete(s.open, p) // it is closed by its last user
		s.mu.Unlock()
		return
	}
	s.forget(h)
	s.mu.Unlock()
	h.close()
}

// Open says how many stores of a backend are open.
func (s *Stores) Open(backend string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size[backend]
}

// Usage is how much of a backend is open.
type Usage struct {
	Stores      int // places that are open
	Busy        int // of them, those that somebody uses
	Connections     // of all open places and of what they share
}

// Usage counts what is open of each backend that was used so far.
func (s *Stores) Usage() map[string]Usage {
	out := map[string]Usage{}
	for name, shared := range s.directory.connections() {
		out[name] = Usage{Connections: shared}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for place, h := range s.open {
		u := out[place.Backend]
		u.Stores++
		if h.users > 0 {
			u.Busy++
		}
		select {
		case <-h.ready:
			if h.store != nil {
				u.add(h.store.Connections())
			}
		default: // still opening
		}
		out[place.Backend] = u
	}
	return out
}

// Close closes every store that nobody uses; those in use are closed by their
// last user. An error says that there were some.
func (s *Stores) Close() error {
	s.mu.Lock()
	var victims []*held
	busy := false
	for _, h := range s.open {
		if h.users > 0 {
			h.drop, busy = true, true
			continue
		}
		victims = append(victims, s.forget(h))
	}
	s.mu.Unlock()
	var errs []error
	for _, v := range victims {
		<-v.ready
		if v.store != nil {
			errs = append(errs, v.store.Close())
		}
	}
	if busy {
		errs = append(errs, errors.New("stores were still in use at close"))
	}
	return errors.Join(errs...)
}
