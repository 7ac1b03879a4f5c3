package migration

import (
	"context"
	"fmt"
	"sync"
	"time"

	"smartseller/backends"
)

// Whatever requests feel, a copy halts at once while a server that it loads suffers:
// sessions wait for locks, a standby falls behind, or the target's disk fills up.
const (
	mostLockWait  = 50 * time.Millisecond
	mostBehind    = 64 << 20 // bytes of log that a standby has not got
	brakeEvery    = time.Second
	brakePatience = time.Second // for an answer; none is no complaint
	roomEvery     = 10 * time.Second
	// leastRoom is the share of what the storefront takes up that must be free at its target
	// while it is copied; see roomFactor for what was free before.
	leastRoom = 0.5
)

// complaint is what a backend suffers; much over 1 is too much.
type complaint struct {
	about, what string
	much        float64
	lasting     bool // it counts for as long as it is there
}

// brake halts a copy for the sake of servers. What gets no better while the copy halts is
// not its doing, and is forgiven until it is gone. Safe for concurrent use.
type brake struct {
	ask   func(ctx context.Context) []complaint
	clock func() time.Time

	asking sync.Mutex
	asked  time.Time

	mu   sync.Mutex
	held map[string]*hold // by what is complained about
	// The copy halts about this, and why in words; "": it does not.
	about, why string
}

type hold struct {
	since    time.Time
	was      float64
	forgiven bool
}

// pull asks anew from time to time, and says why the copy must halt, and whether that is
// another reason than before.
func (b *brake) pull(ctx context.Context) (why string, changed bool) {
	if b.asking.TryLock() {
		defer b.asking.Unlock()
		if now := b.clock(); now.Sub(b.asked) >= brakeEvery {
			b.asked = now
			return b.weigh(now, b.ask(ctx))
		}
	}
	return b.reason(), false
}

func (b *brake) reason() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}

func (b *brake) weigh(now time.Time, all []complaint) (why string, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held, about := map[string]*hold{}, ""
	for _, c := range all {
		if c.much <= 1 {
			continue
		}
		h := b.held[c.about]
		if h == nil {
			h = &hold{since: now, was: c.much}
		}
		held[c.about] = h
		h.judge(now, c)
		if !h.forgiven && about == "" {
			about, why = c.about, c.what
		}
	}
	changed = about != b.about
	b.held, b.about, b.why = held, about, why
	return why, changed
}

func (h *hold) judge(now time.Time, c complaint) {
	switch {
	case c.lasting || now.Sub(h.since) < paceForgives:
	case c.much >= h.was:
		h.forgiven = true
	default:
		h.since, h.was = now, c.much
	}
}

// sufferers are the backends that a move loads. One goroutine asks them at a time.
type sufferers struct {
	x         *run
	roomAsked time.Time
	room      []complaint
}

func (s *sufferers) complaints(ctx context.Context) (out []complaint) {
	s.x.saving.Lock()
	m := *s.x.m
	s.x.saving.Unlock()
	ctx, cancel := context.WithTimeout(ctx, brakePatience)
	defer cancel()
	for _, name := range m.placesToSpare() {
		if b, err := s.x.directory.Backend(ctx, name); err == nil {
			if strain, err := b.Strain(ctx); err == nil {
				out = append(out, complain(name, strain)...)
			}
		}
	}
	if m.Phase != Copying { // all is there that needs room
		return out
	}
	if now := s.x.pace.clock(); now.Sub(s.roomAsked) >= roomEvery {
		s.roomAsked, s.room = now, nil
		if room, err := s.x.directory.Room(ctx, m.Target.Backend); err == nil {
			s.room = complainOfRoom(m.Target.Backend, room, m.Stats.Bytes)
		}
	}
	return append(out, s.room...)
}

func complain(backend string, s backends.Strain) []complaint {
	return []complaint{
		{
			about: "locks of " + backend, much: float64(s.LockWait) / float64(mostLockWait),
			what: fmt.Sprintf("a session on %s has waited %s for a lock", backend, s.LockWait.Round(time.Millisecond)),
		},
		{
			about: "standbys of " + backend, much: float64(s.Behind) / mostBehind,
			what: fmt.Sprintf("a standby of %s is %s behind", backend, size(s.Behind)),
		},
	}
}

func complainOfRoom(backend string, room backends.Room, bytes int64) []complaint {
	wanted := leastRoom * float64(bytes)
	if room.Free < 0 || wanted == 0 {
		return nil
	}
	return []complaint{{
		about: "room of " + backend, much: wanted / float64(max(room.Free, 1)), lasting: true,
		what: fmt.Sprintf("%s has only %s left (%s): make room there, or cancel the move", backend, size(room.Free), room.How),
	}}
}

// newPace is the pace of a run, which hears its operators and the servers that it loads.
func (x *run) newPace() *pace {
	p := newPace(x.router.Latencies(), time.Now, x.m.placesToSpare()...)
	p.brake.ask = (&sufferers{x: x}).complaints
	p.brake.about, p.brake.why = x.m.Stats.Halted, x.m.Stats.Halted // what the run before has told
	p.heed, p.told = x.heed, x.halted
	return p
}
