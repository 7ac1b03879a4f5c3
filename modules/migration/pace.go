package migration

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"smartseller/backends"
)

// Pacing keeps a copy from being felt. The mover works a share of the time and rests
// for the remainder; the share follows the 95th percentile of the requests' latency at
// both places against what it was before the move (additive increase, multiplicative
// decrease, as in congestion control). Operators bound it, live, for one move and for
// all. The last drain, under seal, is never paced. A backend with too few requests to tell is
// not spared until it has more: then the copy works little for a while, and takes the measure.
const (
	chunkTime     = 50 * time.Millisecond // what a chunk is sized to take
	wholeChunk    = 2 * chunkTime         // where the mover may work all the time, and nothing rests in between
	leastRows     = 1000
	paceEvery     = 500 * time.Millisecond
	paceWindow    = 4 * time.Second
	paceBefore    = 30 * time.Second // how much of the past is the measure
	paceSamples   = 60               // fewer requests say nothing
	paceLearns    = 10 * time.Second // at least, of requests that came only behind the copy's beginning
	strained      = 1.2              // times the measure: slow down
	relaxed       = 1.1              // times the measure: speed up
	leastShare    = 0.02
	firstShare    = 0.1              // where requests can tell whether it is too much
	paceTolerance = 5 * time.Second  // of strain at the least share, before the copy halts
	paceForgives  = 30 * time.Second // of a halt: what is still slow is not the copy's doing
)

type pace struct {
	latencies *backends.Latencies
	clock     func() time.Time
	bound     atomic.Int64 // percent, by operators
	brake     *brake
	hurries   atomic.Bool                                 // nothing rests for anybody
	heed      func() error                                // what operators want ends a rest
	told      func(ctx context.Context, why string) error // that the brake was pulled, or ("") is no more

	mu       sync.Mutex
	before   map[string]time.Duration // by backend; 0: too few requests to tell
	busy     map[string]time.Time     // of those, since when they are enough, and the copy works little
	share    float64
	looked   time.Time
	strainAt time.Time // since when the least share is still too much
	haltedAt time.Time
}

func newPace(l *backends.Latencies, clock func() time.Time, places ...string) *pace {
	p := &pace{
		latencies: l, clock: clock, before: map[string]time.Duration{}, busy: map[string]time.Time{}, share: 1, looked: clock(),
		brake: &brake{ask: func(context.Context) []complaint { return nil }, clock: clock},
		heed:  func() error { return nil }, told: func(context.Context, string) error { return nil },
	}
	p.bound.Store(100)
	for _, name := range places {
		p.before[name] = 0
	}
	p.measure(paceBefore)
	for _, before := range p.before {
		if before > 0 {
			p.share = firstShare
		}
	}
	return p
}

// measure takes the latency of the recent past as what it should be.
func (p *pace) measure(over time.Duration) {
	for name := range p.before {
		p.before[name] = 0
		if p95, requests := p.latencies.Quantile(name, 0.95, over); requests >= paceSamples {
			p.before[name] = p95
		}
	}
}

// percent is the share of the time that the copy works now; 0: it halts.
func (p *pace) percent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(100 * p.allowed())
}

func (p *pace) allowed() float64 {
	if !p.haltedAt.IsZero() || p.brake.reason() != "" {
		return 0
	}
	return min(p.share, float64(p.bound.Load())/100)
}

// chunk is what a chunk is to take now.
func (p *pace) chunk() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.allowed() < 1 {
		return chunkTime
	}
	return wholeChunk
}

// look adjusts the share, at most twice a second, and returns it.
func (p *pace) look() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	if now.Sub(p.looked) < paceEvery {
		return p.allowed()
	}
	p.looked = now
	learning := p.learn(now)
	switch strain := p.strain(); {
	case strain <= strained && learning:
		p.share = min(p.share, firstShare)
		p.strainAt, p.haltedAt = time.Time{}, time.Time{}
	case strain <= strained:
		p.strainAt, p.haltedAt = time.Time{}, time.Time{}
		if strain < relaxed {
			p.share = min(1, p.share*1.1+0.02)
		}
	case p.share > leastShare:
		p.share = max(leastShare, p.share*0.6)
	case p.strainAt.IsZero():
		p.strainAt = now
	case p.haltedAt.IsZero() && now.Sub(p.strainAt) > paceTolerance:
		p.haltedAt = now
	case !p.haltedAt.IsZero() && now.Sub(p.haltedAt) > paceForgives:
		p.measure(paceForgives - paceWindow)
		p.strainAt, p.haltedAt = time.Time{}, time.Time{}
	}
	return p.allowed()
}

// learn takes the measure of backends that have requests enough only now, while the copy
// works little, and says whether it is at it.
func (p *pace) learn(now time.Time) (learning bool) {
	for name, before := range p.before {
		if before > 0 {
			continue
		}
		if _, requests := p.latencies.Quantile(name, 0.95, paceBefore); requests < paceSamples {
			delete(p.busy, name)
			continue
		}
		since, known := p.busy[name]
		if !known {
			p.busy[name], since = now, now
		}
		over := now.Sub(since) - time.Second // the latencies know whole seconds
		p95, requests := p.latencies.Quantile(name, 0.95, over)
		if over >= paceLearns && requests >= paceSamples {
			p.before[name] = p95
			delete(p.busy, name)
			continue
		}
		learning = true
	}
	return learning
}

// strain is how many times as long as before requests take, at the place where it is worst.
func (p *pace) strain() float64 {
	worst := 0.0
	for name, before := range p.before {
		p95, requests := p.latencies.Quantile(name, 0.95, paceWindow)
		if before > 0 && requests >= paceSamples {
			worst = max(worst, float64(p95)/float64(before))
		}
	}
	return worst
}

// rest waits as long as the share of the work that was just done asks for. What
// operators change counts at once.
func (p *pace) rest(ctx context.Context, worked time.Duration) error {
	return p.restBut(ctx, worked, func(context.Context) error { return nil })
}

// restBut is rest, but for what goes on all the same while nothing works at all, every second.
func (p *pace) restBut(ctx context.Context, worked time.Duration, goesOn func(context.Context) error) error {
	const slice, every = 100 * time.Millisecond, time.Second
	did := time.Now()
	for rested := time.Duration(0); !p.hurries.Load(); {
		if err := p.ask(ctx); err != nil {
			return err
		}
		share := p.look()
		if share == 0 && time.Since(did) >= every {
			did = time.Now()
			if err := goesOn(ctx); err != nil {
				return err
			}
		}
		left := slice
		if share > 0 {
			left = min(slice, time.Duration(float64(worked)*(1-share)/share)-rested)
		}
		if left <= 0 {
			return ctx.Err()
		}
		if err := pause(ctx, left); err != nil {
			return err
		}
		rested += left
	}
	return ctx.Err()
}

// hurry lets nothing rest any more, for the sake of a storefront that has to go back, or
// again.
func (p *pace) hurry(on bool) { p.hurries.Store(on) }

// ask hears operators and servers.
func (p *pace) ask(ctx context.Context) error {
	if err := p.heed(); err != nil {
		return err
	}
	if why, changed := p.brake.pull(ctx); changed {
		return p.told(ctx, why)
	}
	return nil
}

// rowsFor sizes the next chunk by how long the last one took. Of rows so wide that
// they filled a page no more are asked for than went into it.
func rowsFor(rows int, full bool, took, chunk time.Duration) int {
	next := int(float64(rows) * float64(chunk) / float64(max(took, time.Millisecond)))
	if full {
		return max(1, min(next, rows))
	}
	return max(leastRows, min(next, 2*rows, chunkRows))
}
