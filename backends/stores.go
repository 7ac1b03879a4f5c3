package backends

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"smartseller/platform/fault"
)

// Stores keeps opened stores for reuse and bounds how many of one backend are
// open: the least recently used that nobody holds gives way. Safe for concurrent use.
type Stores struct {
	directory    *Directory
	limit        int
	patience     time.Duration
	refuseBehind bool
	life         context.Context // ends at Close
	end          context.CancelFunc

	mu       sync.Mutex
	open     map[Place]*held
	shelves  map[string]*shelf // by backend
	closed   bool
	openings sync.WaitGroup
}

// shelf is what is open of one backend.
type shelf struct {
	of      Backend    // that fitness is about
	fitness *fitness   // of a database that places share
	size    int        // places taken: stores that are open, being opened or being closed
	idle    *list.List // *held that nobody uses, most recent first
	waiting *list.List // chan struct{}: each is closed when it is given a place
}

type held struct {
	place   Place
	shelf   *shelf
	ready   chan struct{} // closed when store, fitness and err are set
	store   Store
	fitness *fitness
	err     error
	users   int
	idle    *list.Element // its position in the idle list; nil while in use
	drop    bool          // close as soon as nobody uses it
}

// ErrCrowded says that as many storefronts of one backend as may be open at once
// are all in use.
var ErrCrowded = fault.New(fault.Unavailable, "too_many_storefronts",
	"Too many storefronts of one backend are in use at once; try again.").Retry(1)

// crowdPatience bounds the wait for a place among the open stores.
const crowdPatience = 2 * time.Second

// openWithin bounds the opening of a place, which may have to make the schema of an empty
// shared database first.
const openWithin = 30 * time.Second

// NewStores makes the pool; maxOpen bounds the open stores of each backend.
func NewStores(directory *Directory, maxOpen int) *Stores {
	life, end := context.WithCancel(context.Background())
	return &Stores{
		directory: directory, limit: maxOpen, patience: crowdPatience, life: life, end: end,
		open: map[Place]*held{}, shelves: map[string]*shelf{},
	}
}

var errStoresClosed = errors.New("the stores are closed: the program is ending")

// Acquire opens a place's store, or shares the one that is open. The caller
// calls release when done, exactly once, and not Close. ErrCrowded when every
// store that may be open stays in use.
func (s *Stores) Acquire(ctx context.Context, p Place) (store Store, release func(), err error) {
	store, release, _, err = s.acquire(ctx, p)
	return store, release, err
}

func (s *Stores) acquire(ctx context.Context, p Place) (store Store, release func(), fit *fitness, err error) {
	h := s.hold(ctx, p)
	if h == nil {
		return nil, nil, nil, errStoresClosed
	}
	select {
	case <-h.ready:
	case <-ctx.Done():
		s.release(h)
		return nil, nil, nil, context.Cause(ctx)
	}
	if h.err != nil {
		s.release(h)
		return nil, nil, nil, h.err
	}
	return h.store, sync.OnceFunc(func() { s.release(h) }), h.fitness, nil
}

// hold counts the caller among a place's users, and has it opened for the first.
// nil after Close.
func (s *Stores) hold(ctx context.Context, p Place) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	h := s.open[p]
	if h == nil {
		h = &held{place: p, shelf: s.shelf(p.Backend), ready: make(chan struct{}), users: 1}
		s.open[p] = h
		// Not in the first caller's context: others wait for the same opening.
		s.openings.Go(func() { s.fill(context.WithoutCancel(ctx), h) })
	}
	h.users++
	if h.idle != nil {
		h.shelf.idle.Remove(h.idle)
		h.idle = nil
	}
	return h
}

func (s *Stores) shelf(backend string) *shelf {
	if s.shelves[backend] == nil {
		s.shelves[backend] = &shelf{idle: list.New(), waiting: list.New()}
	}
	return s.shelves[backend]
}

// fill opens the store, and is one of the users until others may have it.
func (s *Stores) fill(ctx context.Context, h *held) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	store, of, err := s.openPlace(ctx, h)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: opening it took too long: %w", ErrUnreachable, err)
	}
	s.mu.Lock()
	h.store, h.err = store, err
	if err == nil {
		h.fitness = h.shelf.fitnessOf(of)
	}
	close(h.ready)
	s.leave(h)
}

func (s *Stores) openPlace(ctx context.Context, h *held) (store Store, of Backend, err error) {
	if err := s.take(h.shelf); err != nil {
		return nil, nil, err
	}
	of, err = s.directory.Backend(ctx, h.place.Backend)
	if err == nil {
		store, err = of.Open(ctx, h.place)
	}
	if err != nil {
		s.giveBack(h.shelf)
		return nil, nil, err
	}
	return store, of, nil
}

// take gets a place on the shelf: a free one, that of the least recently used
// store that nobody holds, or the next that is given back.
func (s *Stores) take(on *shelf) error {
	s.mu.Lock()
	if on.size < s.limit {
		on.size++
		s.mu.Unlock()
		return nil
	}
	if oldest := on.idle.Back(); oldest != nil {
		victim := s.forget(oldest.Value.(*held))
		s.mu.Unlock()
		victim.close()
		return nil
	}
	given := make(chan struct{})
	mine := on.waiting.PushBack(given)
	s.mu.Unlock()

	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case <-given:
		return nil
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-given: // at the last moment
		return nil
	default:
		on.waiting.Remove(mine)
		return ErrCrowded
	}
}

// giveBack hands the place of a store that is closed to who has waited longest.
func (s *Stores) giveBack(on *shelf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := on.waiting.Front(); first != nil {
		close(on.waiting.Remove(first).(chan struct{}))
		return
	}
	on.size--
}

func (s *Stores) release(h *held) {
	s.mu.Lock()
	s.leave(h)
}

// leave takes one user away. It is called with the lock held, and gives it up.
func (s *Stores) leave(h *held) {
	h.users--
	if h.users > 0 {
		s.mu.Unlock()
		return
	}
	// A place that could not be opened is tried again next time.
	if h.err == nil && !h.drop && h.shelf.waiting.Len() == 0 {
		h.idle = h.shelf.idle.PushFront(h)
		s.mu.Unlock()
		return
	}
	s.forget(h)
	s.mu.Unlock()
	s.discard(h)
}

// forget takes a store out of the pool; the caller closes it outside the lock.
func (s *Stores) forget(h *held) *held {
	if h.idle != nil {
		h.shelf.idle.Remove(h.idle)
		h.idle = nil
	}
	if s.open[h.place] == h {
		delete(s.open, h.place)
	}
	return h
}

// discard closes a store that was forgotten and gives its place to others.
func (s *Stores) discard(h *held) {
	if h.store != nil {
		h.close()
		s.giveBack(h.shelf)
	}
}

// close has no error to tell: what was acknowledged is durable, and there is
// nothing else to lose.
func (h *held) close() { _ = h.store.Close() }

// Drop closes a place's store as soon as nobody uses it; who acquires the place
// from now on gets a new one.
func (s *Stores) Drop(p Place) { s.dropStore(p, nil) }

// dropStore is Drop, unless the place has another store meanwhile; nil: any.
func (s *Stores) dropStore(p Place, store Store) {
	s.mu.Lock()
	h := s.open[p]
	if h == nil || store != nil && h.store != store {
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
	s.discard(h)
}

// Usage is how much of a backend is open.
type Usage struct {
	Stores      int // places that are open, being opened or being closed
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
	for name, on := range s.shelves {
		u := out[name]
		u.Stores = on.size
		out[name] = u
	}
	for place, h := range s.open {
		u := out[place.Backend]
		if h.users > 0 {
			u.Busy++
		}
		if h.store != nil { // else it is being opened
			u.add(h.store.Connections())
		}
		out[place.Backend] = u
	}
	return out
}

// Close opens no more and closes every store that nobody uses; those in use are
// closed by their last user. An error says that there were some.
func (s *Stores) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.openings.Wait()

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
		errs = append(errs, v.store.Close())
		s.giveBack(v.shelf)
	}
	if busy {
		errs = append(errs, errors.New("stores were still in use at close"))
	}
	return errors.Join(errs...)
}
