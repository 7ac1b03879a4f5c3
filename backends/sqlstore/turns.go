package sqlstore

import (
	"container/list"
	"context"
	"fmt"
	"sync"
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
	waiting list.List // chan struct{}: each is closed when it is given a turn
	held    map[*turn]struct{}
}

// turn is one that was given.
type turn struct {
	verb  string
	since time.Time
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
	began := time.Now()
	if err := t.enter(ctx, a); err != nil {
		return nil, err
	}
	within := a
	within.wait -= time.Since(began)
	outer, err := t.within.take(ctx, within)
	if err != nil {
		t.pass()
		return nil, err
	}
	return t.hold(a.verb, outer), nil
}

// hold notes who has a turn, until it is given back.
func (t *Turns) hold(verb string, outer func()) (giveBack func()) {
	mine := &turn{verb: verb, since: time.Now()}
	t.mu.Lock()
	t.held[mine] = struct{}{}
	t.mu.Unlock()
	return sync.OnceFunc(func() {
		t.mu.Lock()
		delete(t.held, mine)
		t.mu.Unlock()
		outer()
		t.pass()
	})
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
	t.mu.Lock()
	free := t.free > 0
	if free {
		t.free--
	}
	t.mu.Unlock()
	if !free {
		return nil
	}
	return t.hold(verb, func() {})
}

func (t *Turns) enter(ctx context.Context, a ask) error {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	given := make(chan struct{})
	var mine *list.Element
	if a.first {
		mine = t.waiting.PushFront(given)
	} else {
		mine = t.waiting.PushBack(given)
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
	t.waiting.Remove(mine)
	if err == nil {
		err = t.refusal(a.wait)
	}
	return err
}

// pass gives a turn to who waits for the next one.
func (t *Turns) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first := t.waiting.Front(); first != nil {
		close(t.waiting.Remove(first).(chan struct{}))
		return
	}
	t.free++
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
