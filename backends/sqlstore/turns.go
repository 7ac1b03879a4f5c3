package sqlstore

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Turns lets a bounded number of transactions run at once; who asks first is let in
// first. (database/sql gives a connection that is free to any of those who wait, by
// chance.) nil lets everybody in. Safe for concurrent use.
type Turns struct {
	of     string // what there are so many of, for errors
	within *Turns

	mu      sync.Mutex
	free    int       // 0 while somebody waits
	waiting list.List // of wait
	held    map[*turn]struct{}
}

// turn is one that was given.
type turn struct {
	of    *Turns
	verb  string
	since time.Time
	back  atomic.Bool
	outer func() // gives back the one of within; nil: there is none
}

// giveBack gives a turn back, once.
func (m *turn) giveBack() {
	if m.back.Swap(true) {
		return
	}
	if m.outer != nil {
		m.outer()
	}
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	delete(m.of.held, m)
	m.of.pass()
}

// NewTurns makes turns for n transactions at once. Each needs a turn of within as well,
// which others share; nil: none.
func NewTurns(of string, n int, within *Turns) *Turns {
	return &Turns{of: of, free: n, within: within, held: map[*turn]struct{}{}}
}

// Lanes are where the transactions of a place wait for their turns. A lane that is nil
// lets everybody in.
type Lanes struct {
	Read, Write           *Turns // for the application, and for looks that it waits for
	MoverRead, MoverWrite *Turns
}

// ask is for a turn.
type ask struct {
	verb  string
	wait  time.Duration // at most
	first bool          // before all who wait: each try of an Exclusive one is short
}

// take waits for a turn. Its error, other than that of ctx, is a *noTurn.
func (t *Turns) take(ctx context.Context, a ask) (giveBack func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	mine := &turn{of: t, verb: a.verb}
	began := time.Now()
	if err := t.enter(ctx, a, mine); err != nil {
		return nil, err
	}
	if t.within != nil {
		a.wait -= mine.since.Sub(began)
		if mine.outer, err = t.within.take(ctx, a); err != nil {
			mine.giveBack()
			return nil, err
		}
	}
	return mine.giveBack, nil
}

// Take waits for a turn in the name of who is no transaction, but is needed by some.
func (t *Turns) Take(ctx context.Context, verb string, wait time.Duration) (giveBack func(), err error) {
	giveBack, err = t.take(ctx, ask{verb: verb, wait: wait})
	if err != nil && ctx.Err() == nil {
		err = ErrContended.Because(err)
	}
	return giveBack, err
}

// TryTake takes a turn that is free; nil: none is.
func (t *Turns) TryTake(verb string) (giveBack func()) {
	mine := &turn{of: t, verb: verb}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.tryEnter(mine) {
		return nil
	}
	return mine.giveBack
}

// tryEnter gives a turn that is free; it is called with the lock held.
func (t *Turns) tryEnter(mine *turn) bool {
	if t.free == 0 {
		return false
	}
	t.free--
	t.hold(mine)
	return true
}

// hold notes who has a turn, until it is given back; it is called with the lock held.
func (t *Turns) hold(mine *turn) {
	mine.since = time.Now()
	t.held[mine] = struct{}{}
}

func (t *Turns) enter(ctx context.Context, a ask, mine *turn) error {
	t.mu.Lock()
	if t.tryEnter(mine) {
		t.mu.Unlock()
		return nil
	}
	given := make(chan struct{})
	var place *list.Element
	if a.first {
		place = t.waiting.PushFront(wait{mine, given})
	} else {
		place = t.waiting.PushBack(wait{mine, given})
	}
	t.mu.Unlock()

	timer := time.NewTimer(a.wait)
	defer timer.Stop()
	var err error
	select {
	case <-given:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-given: // at the last moment
		return nil
	default:
	}
	t.waiting.Remove(place)
	if err == nil {
		err = t.refusal(a.wait)
	}
	return err
}

// wait is one for a turn; given is closed when it has it.
type wait struct {
	turn  *turn
	given chan struct{}
}

// pass gives a turn to who waits for the next one; it is called with the lock held.
func (t *Turns) pass() {
	first := t.waiting.Front()
	if first == nil {
		t.free++
		return
	}
	next := t.waiting.Remove(first).(wait)
	t.hold(next.turn)
	close(next.given)
}

// noTurn says that a turn was not had in time, and what is in the way.
type noTurn struct{ what string }

func (e *noTurn) Error() string { return e.what }

// refusal is called with the lock held.
func (t *Turns) refusal(waited time.Duration) error {
	what := fmt.Sprintf("%s did not become free in %s", t.of, waited.Round(time.Millisecond))
	var longest *turn
	for h := range t.held {
		if longest == nil || h.since.Before(longest.since) {
			longest = h
		}
	}
	if longest != nil {
		what += fmt.Sprintf("; held longest by %s, for %s", longest.verb, time.Since(longest.since).Round(time.Millisecond))
	}
	return &noTurn{what}
}
