package migration

import "time"

// stalled notes how long writes have waited in the attempt to cross that ends now, if
// none of this direction kept them waiting longer. Of an attempt that another instance
// began only its beginning is known, by the control database's clock.
func (x *run) stalled(c crossing) {
	x.saving.Lock()
	defer x.saving.Unlock()
	s, since := &x.m.Stats, x.sealing
	if s.CutAt == 0 {
		return // noted already
	}
	if since.IsZero() {
		since = time.UnixMicro(s.CutAt)
	}
	longest := &s.StallMicros
	if c.back {
		longest = &s.BackStallMicros
	}
	*longest = max(*longest, time.Since(since).Microseconds())
	s.CutAt, x.sealing = 0, time.Time{}
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
