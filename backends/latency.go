package backends

import (
	"math"
	"sync"
	"time"
)

// Latencies remembers how long requests took for the last minute, per backend, in a
// fixed amount of memory. Safe for concurrent use.
type Latencies struct {
	clock func() time.Time

	mu        sync.Mutex
	byBackend map[string]*[latencySeconds]latencySecond
}

const (
	latencySeconds = 60
	// Buckets grow by a tenth of the power of two: a quantile is at most 7 % too high.
	latencyPerOctave = 10
	latencyBuckets   = 20 * latencyPerOctave // from 50 µs to 50 s
	latencyLeast     = 50 * time.Microsecond
)

type latencySecond struct {
	at     int64 // seconds since 1970
	counts [latencyBuckets]uint32
}

// NewLatencies makes an empty memory.
func NewLatencies(clock func() time.Time) *Latencies {
	return &Latencies{clock: clock, byBackend: map[string]*[latencySeconds]latencySecond{}}
}

// Note adds one request.
func (l *Latencies) Note(backend string, took time.Duration) {
	octaves := math.Log2(float64(max(took, latencyLeast)) / float64(latencyLeast))
	bucket := min(int(octaves*latencyPerOctave), latencyBuckets-1)
	at := l.clock().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	ring := l.byBackend[backend]
	if ring == nil {
		ring = new([latencySeconds]latencySecond)
		l.byBackend[backend] = ring
	}
	second := &ring[at%latencySeconds]
	if second.at != at {
		*second = latencySecond{at: at}
	}
	second.counts[bucket]++
}

// Quantile is the latency that a share q of the requests stayed under, of those that
// ended within the last so many whole seconds (at most 59), and how many there were.
func (l *Latencies) Quantile(backend string, q float64, over time.Duration) (d time.Duration, requests int) {
	now := l.clock().Unix()
	since := now - min(int64(over/time.Second), latencySeconds-1)
	var sum [latencyBuckets]int
	l.mu.Lock()
	if ring := l.byBackend[backend]; ring != nil {
		for i := range ring {
			if second := &ring[i]; second.at >= since && second.at < now {
				for b, n := range second.counts {
					sum[b] += int(n)
					requests += int(n)
				}
			}
		}
	}
	l.mu.Unlock()
	left := int(math.Ceil(q * float64(requests)))
	for b, n := range sum {
		if left -= n; left <= 0 && requests > 0 {
			return time.Duration(float64(latencyLeast) * math.Exp2(float64(b+1)/latencyPerOctave)), requests
		}
	}
	return 0, requests
}
