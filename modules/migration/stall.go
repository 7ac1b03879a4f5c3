package migration

import (
	"context"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// waits are how long writes wait in an attempt to cross, which is named by when it began.
type waits struct {
	since  time.Time // the attempt under way closed the old place; zero: none by this run
	cutAt  int64     // of the attempt that this run has measured last
	micros int64
}

// stalled notes how long writes have waited in the attempt to cross that ends now, if
// none of this direction kept them waiting longer. Of an attempt that another instance
// began only its beginning is known, by the control database's clock. What was noted and
// not saved is noted again when the step is repeated, as it was.
func (x *run) stalled(c crossing) {
	x.saving.Lock()
	defer x.saving.Unlock()
	at, since := x.m.Stats.CutAt, x.waits.since
	if at == 0 {
		return // noted already
	}
	if since.IsZero() {
		since = time.UnixMicro(at)
	}
	if x.waits.cutAt != at {
		x.waits.cutAt, x.waits.micros = at, time.Since(since).Microseconds()
	}
	x.noteStall(c, x.waits.micros)
}

// noteStall ends the account of the attempt. The caller holds saving.
func (x *run) noteStall(c crossing, micros int64) {
	s := &x.m.Stats
	longest := &s.StallMicros
	if c.back {
		longest = &s.BackStallMicros
	}
	*longest = max(*longest, micros)
	s.CutAt, x.waits.since = 0, time.Time{}
}

// openAlready is for an attempt that another instance ended, which died before it saved
// how long writes had waited: where the place is open they do not wait any more. It opened
// right behind the commit, up to which is counted. An attempt that was given up is left out.
func (x *run) openAlready(ctx context.Context, c crossing, place backends.Store) {
	x.saving.Lock()
	cut, s := x.m.Cut, x.m.Stats
	own := s.CutAt == 0 || !x.waits.since.IsZero() || x.waits.cutAt == s.CutAt
	x.saving.Unlock()
	if own {
		return
	}
	f, err := place.Fence(ctx)
	if err != nil || f.State != backends.Active {
		return // not for the sake of a figure: the place is opened next
	}
	committed := s.CommittedAt
	if c.back {
		committed = s.BackAt
	}
	if cut != Committed {
		committed = s.CutAt
	}
	x.saving.Lock()
	defer x.saving.Unlock()
	x.noteStall(c, committed-s.CutAt)
}

// keepStall saves what was noted behind a commit, before what may have to be repeated, by
// another instance too.
func (x *run) keepStall(ctx context.Context) error {
	return x.save(ctx, unsaid, nil, func(control.Tx, *Move) error { return nil })
}

// leastRequests is how many requests a quantile of their latency needs to say anything.
const leastRequests = paceSamples

// p95 is the latency that requests at a backend had within the last minute, microseconds; 0 when
// this instance saw too few.
func (x *run) p95(backend string) int64 {
	p95, requests := x.router.Latencies().Quantile(backend, 0.95, time.Minute)
	if requests < leastRequests {
		return 0
	}
	return p95.Microseconds()
}
