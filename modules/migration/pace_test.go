package migration

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// street is a backend whose requests take as long as a test says.
type street struct {
	now       time.Time
	latencies *backends.Latencies
}

func newStreet() *street {
	s := &street{now: time.Unix(1_000_000, 0)}
	s.latencies = backends.NewLatencies(func() time.Time { return s.now })
	return s
}

// drive lets requests of so many milliseconds pass for a time, in half seconds.
func (s *street) drive(took, over time.Duration, look func()) {
	for end := s.now.Add(over); s.now.Before(end); s.now = s.now.Add(paceEvery) {
		for range 50 {
			s.latencies.Note("here", took)
		}
		look()
	}
}

func (s *street) pace() *pace { return newPace(s.latencies, func() time.Time { return s.now }, "here") }

func TestPaceYieldsToRequests(t *testing.T) {
	s := newStreet()
	s.drive(10*time.Millisecond, 10*time.Second, func() {})
	p := s.pace()
	look := func() { p.look() }
	require.EqualValues(t, 10, p.percent(), "it begins with little, since it may be felt")
	s.drive(10*time.Millisecond, 8*time.Second, look)
	require.EqualValues(t, 100, p.percent(), "nobody is disturbed")
	s.drive(20*time.Millisecond, 5*time.Second, look)
	slow := p.percent()
	require.Less(t, slow, int64(10), "requests take twice as long")
	s.drive(10*time.Millisecond, 5*time.Second, look)
	require.Greater(t, p.percent(), slow, "they recover")
	s.drive(10*time.Millisecond, 30*time.Second, look)
	require.EqualValues(t, 100, p.percent())
}

func TestPaceHaltsAndForgives(t *testing.T) {
	s := newStreet()
	s.drive(10*time.Millisecond, 10*time.Second, func() {})
	p := s.pace()
	look := func() { p.look() }
	s.drive(50*time.Millisecond, 20*time.Second, look)
	require.Zero(t, p.percent(), "the least share was too much for too long")
	s.drive(50*time.Millisecond, paceForgives+10*time.Second, look)
	require.Positive(t, p.percent(), "they are slow without the copy as well")
}

func TestPaceWithoutRequestsToMeasure(t *testing.T) {
	s := newStreet()
	p := s.pace()
	for range 100 {
		s.latencies.Note("here", time.Second)
		s.now = s.now.Add(time.Second)
		p.look()
		require.EqualValues(t, 100, p.percent(), "what they took before is not known")
	}
}

// TestPaceLearnsWhatRequestsTake when they come only while it copies: the server was started
// anew, or the morning has come. The copy works little until it knows.
func TestPaceLearnsWhatRequestsTake(t *testing.T) {
	s := newStreet()
	p := s.pace()
	require.EqualValues(t, 100, p.percent())
	look := func() { p.look() }
	s.drive(30*time.Millisecond, 2*time.Second, look) // as slow as the copy makes them at full speed
	require.EqualValues(t, 10, p.percent())
	s.drive(10*time.Millisecond, 2*paceLearns, look)
	require.Greater(t, p.percent(), int64(10), "it knows, and nobody is disturbed")
	s.drive(30*time.Millisecond, 5*time.Second, look)
	require.Less(t, p.percent(), int64(10))
	s.drive(10*time.Millisecond, 30*time.Second, look)
	require.EqualValues(t, 100, p.percent())
}

// TestPaceForgetsAFewRequests: so few tell nothing, and slow nothing down.
func TestPaceForgetsAFewRequests(t *testing.T) {
	s := newStreet()
	p := s.pace()
	look := func() { p.look() }
	s.drive(10*time.Millisecond, 2*time.Second, look)
	require.EqualValues(t, 10, p.percent())
	for range 200 {
		s.now = s.now.Add(paceEvery)
		look()
	}
	require.EqualValues(t, 100, p.percent())
}

func TestPaceIsBoundByOperators(t *testing.T) {
	p := newStreet().pace()
	p.bound.Store(30)
	require.EqualValues(t, 30, p.percent())
	require.InDelta(t, 0.3, p.look(), 0)
}

func TestChunksAreSizedByTime(t *testing.T) {
	require.Equal(t, 2000, rowsFor(1000, false, chunkTime/4, chunkTime), "at most twice the last one")
	require.Equal(t, 2000, rowsFor(4000, false, 2*chunkTime, chunkTime))
	require.Equal(t, leastRows, rowsFor(1000, false, time.Minute, chunkTime))
	require.Equal(t, 4000, rowsFor(4000, false, wholeChunk, wholeChunk))
	require.Equal(t, chunkRows, rowsFor(chunkRows, false, 0, chunkTime))
	require.Equal(t, 40, rowsFor(40, true, 0, chunkTime), "wide rows")
}

// TestWhoHurriesRestsForNobody: a storefront that goes back waits for no server that suffers.
func TestWhoHurriesRestsForNobody(t *testing.T) {
	p := newStreet().pace()
	p.bound.Store(1)
	p.brake.ask = func(context.Context) []complaint { return complain("here", backends.Strain{LockWait: time.Hour}) }
	p.hurry(true)
	require.NoError(t, p.rest(context.Background(), time.Hour))
}
