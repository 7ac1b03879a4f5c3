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

// TestARestEndsWhenOperatorsSayMore: what was slowed down to nearly nothing goes on at once.
func TestARestEndsWhenOperatorsSayMore(t *testing.T) {
	p := newStreet().pace()
	p.bound.Store(1)
	looks := make(chan struct{}) // of one that rests, each behind a slice of its rest
	p.heed = func() error {
		select {
		case looks <- struct{}{}:
		case <-t.Context().Done():
		}
		return nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.rest(t.Context(), time.Hour)
	}()
	happens(t, looks, "a rest")
	happens(t, looks, "a rest that goes on")
	p.bound.Store(100)
	go func() { // what it looks at until it has seen that, if it had not already
		for range looks {
		}
	}()
	happens(t, done, "an end of the rest")
	close(looks)
}

// TestOperatorsPaceAMoveUnderWay, this one and all: it follows, and the least of both counts.
func TestOperatorsPaceAMoveUnderWay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := newWorld(t)
	w.strain = func() backends.Strain { return backends.Strain{} } // so that operators alone slow it down
	turns := make(chan struct{})                                   // of chunks, until all have theirs
	i := w.instance(t, func(ctx context.Context, point string) error {
		if point != "K3" {
			return nil
		}
		select {
		case <-turns:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	m, err := i.service.Start(ctx, Request{Storefront: i.storefront(t, 50*leastRows), Target: "two"})
	require.NoError(t, err)
	i.waitFor(t, m.ID, Copying)
	const longerThanAChunk = 200 * time.Millisecond // a turn, so that chunks stay small and are many
	for n, said := range []struct{ toOne, toAll, works int64 }{
		{toOne: 50, works: 50},
		{toAll: 40, works: 40},
		{toOne: 30, works: 30},
		{toOne: 100, works: 40},
		{toAll: 100, works: 100},
	} {
		if said.toOne > 0 {
			told, err := i.service.Pace(ctx, m.ID, said.toOne)
			require.NoError(t, err)
			require.Equal(t, said.toOne, told.Options.PacePercent)
		} else {
			require.NoError(t, i.service.PaceAll(ctx, said.toAll))
			all, err := i.service.PaceOfAll(ctx)
			require.NoError(t, err)
			require.Equal(t, said.toAll, all)
		}
		require.Eventually(t, func() bool {
			select {
			case turns <- struct{}{}:
			default: // it rests
			}
			return get(t, i, m.ID).Stats.PacePercent == said.works
		}, waitLong, longerThanAChunk, "%d: %+v %v", n, said, story{i, m.ID})
	}
	require.Equal(t, Copying, get(t, i, m.ID).Phase, "the copy was long enough to tell")
	require.Equal(t, 3, countEvents(t, i, m.ID, "paced"))
	close(turns)
	i.waitFor(t, m.ID, Watching)
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
	_, err = i.service.Pace(ctx, m.ID, 50)
	require.ErrorContains(t, err, "it has no pace any more")
}
