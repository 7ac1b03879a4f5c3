package migration

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"smartseller/backends"
	"smartseller/platform/fault"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return parsed
	}
	for _, c := range []struct{ window, zone, at, opens string }{
		{"", "", "2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z"},
		{"02:00-05:00", "UTC", "2026-01-01T02:00:00Z", "2026-01-01T02:00:00Z"},
		{"02:00-05:00", "UTC", "2026-01-01T04:59:59Z", "2026-01-01T04:59:59Z"},
		{"02:00-05:00", "UTC", "2026-01-01T05:00:00Z", "2026-01-02T02:00:00Z"},
		{"02:00-05:00", "Europe/Berlin", "2026-01-01T02:00:00Z", "2026-01-01T02:00:00Z"}, // 03:00 there
		{"02:00-05:00", "Europe/Berlin", "2026-07-01T03:00:00Z", "2026-07-02T00:00:00Z"}, // 05:00 there, in summer
		{"22:30-01:15", "America/New_York", "2026-01-02T06:14:00Z", "2026-01-02T06:14:00Z"},
		{"22:30-01:15", "America/New_York", "2026-01-02T06:15:00Z", "2026-01-03T03:30:00Z"},
		{"02:00-03:00", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"}, // that hour is left out on this day
		{"02:00-03:00", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:00:00Z"}, // and there are two of it on this one
		{"02:00-03:00", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T01:30:00Z"},
		{"02:00-03:00", "Europe/Berlin", "2026-10-24T20:00:00Z", "2026-10-25T00:00:00Z"},    // it opens with the first one
		{"02:00-05:00", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z"}, // the day after begins it at three
		{"02:30-03:30", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"22:00-02:30", "Europe/Berlin", "2026-10-25T01:45:00Z", "2026-10-25T21:00:00Z"},
		{"02:00-05:00", "America/New_York", "2028-12-31T12:00:00Z", "2029-01-01T07:00:00Z"}, // that year has a day more
	} {
		w, err := ParseWindow(c.window, c.zone)
		require.NoError(t, err)
		require.Equal(t, c.opens, w.Opens(at(c.at)).UTC().Format(time.RFC3339), "%+v", c)
		require.Equal(t, c.opens == c.at, w.Open(at(c.at)), "%+v", c)
	}
	for _, c := range [][2]string{{"2-5", "UTC"}, {"02:00-24:00", "UTC"}, {"02:00-02:00", "UTC"}, {"02:00-05:00", "Mars/Crater"}, {"02:00-05:00", "Local"}} {
		_, err := ParseWindow(c[0], c[1])
		require.Equal(t, fault.Invalid, fault.Of(err).Kind, "%v", c)
	}
}

// TestWindowOpensWhenItIsOpen: what is foretold is the first minute that is within the window,
// also around the hours in which clocks change.
func TestWindowOpensWhenItIsOpen(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu", "UTC"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(name)
			require.NoError(t, err)
			rapid.Check(t, func(t *rapid.T) {
				day := rapid.IntRange(0, 24*60-1)
				w := Window{text: "drawn", from: day.Draw(t, "from"), to: day.Draw(t, "to"), zone: zone}
				if w.from == w.to {
					t.Skip("no window")
				}
				at := aroundAChange(t, zone)
				first := at
				for !w.Open(first) {
					first = first.Truncate(time.Minute).Add(time.Minute)
				}
				require.True(t, first.Equal(w.Opens(at)), "%02d:%02d-%02d:%02d at %s: %s, not %s",
					w.from/60, w.from%60, w.to/60, w.to%60, at, w.Opens(at), first)
			})
		})
	}
}

// aroundAChange draws a moment within two days of a change of clocks, where there are any.
func aroundAChange(t *rapid.T, zone *time.Location) time.Time {
	from, until := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	at := time.Unix(rapid.Int64Range(from.Unix(), until.Unix()).Draw(t, "moment"), 0).In(zone)
	if _, changes := at.ZoneBounds(); !changes.IsZero() {
		const most = 2 * 24 * 60 * 60
		at = changes.Add(time.Duration(rapid.IntRange(-most, most).Draw(t, "seconds behind")) * time.Second)
	}
	return at
}

// TestCutoverWaitsForItsWindow: a move that is ready before its window stays in step,
// says what it waits for, and cuts over when the window opens.
func TestCutoverWaitsForItsWindow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	var ahead atomic.Int64
	w.clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	i := w.instance(t, nil)
	id := i.storefront(t, 100)
	opens := time.Now().UTC().Add(6 * time.Hour)
	window := opens.Format("15:04") + "-" + opens.Add(time.Hour).Format("15:04")
	_, err := i.service.Start(ctx, Request{Storefront: id, Target: "two", Options: Options{CutoverWindow: "soon"}})
	require.Equal(t, fault.Invalid, fault.Of(err).Kind)

	m := start(t, i, id, Options{CutoverWindow: window})
	require.Equal(t, "UTC", m.Options.TimeZone)
	scene{&load{storefront: id}, t}.verified(i, m.ID)
	put(t, i, id, "written while it waits")
	e, err := i.service.Explain(ctx, m.ID)
	require.NoError(t, err)
	require.True(t, anyWait(e, "window", "cuts over only within "+window+" UTC, which opens in"), "%+v", e)
	i.requireAt(t, id, "one", 1)

	ahead.Store(int64(6*time.Hour + time.Minute))
	m = i.waitFor(t, m.ID, Watching)
	require.Contains(t, m.Stats.Gates["window"], "open: "+window)
	i.requireAt(t, id, "two", 2)
}

// TestCutoverThatOutlastsItsWindow: tries that are not over when the window closes go
// on in the next one, not outside.
func TestCutoverThatOutlastsItsWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ahead atomic.Int64
	w.clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	closed := make(chan struct{})
	var i *instance
	var tries atomic.Int64
	i = w.instance(t, func(_ context.Context, point string) error {
		if point == "K8" && tries.Add(1) == 1 {
			ahead.Store(int64(2 * time.Hour))
			close(closed)
			return &busyError{context.DeadlineExceeded} // as if writers had not ended
		}
		return nil
	})
	id := i.storefront(t, 20)
	now := time.Now().UTC()
	m := start(t, i, id, Options{CutoverWindow: now.Format("15:04") + "-" + now.Add(time.Hour).Format("15:04")})
	happens(t, closed, "a first try to cut over")
	require.Eventually(t, func() bool {
		m, err := i.service.Get(context.Background(), m.ID)
		require.NoError(t, err)
		return m.Phase == CuttingOver && m.Cut == NotCut
	}, waitLong, waitStep)
	put(t, i, id, "open")
	ask(t, i, m.ID, WantPause)
	i.waitFor(t, m.ID, Paused)
	require.EqualValues(t, 1, tries.Load())
	ask(t, i, m.ID, WantResume)
	ahead.Store(0)
	i.waitFor(t, m.ID, Watching)
	i.requireAt(t, id, "two", 2)
}

// inspected is a store that tells when a comparison in whole begins, of which an inspection
// is part.
type inspected struct {
	backends.Store
	begins func()
}

func (s *inspected) Inspect(ctx context.Context) error {
	s.begins()
	return s.Store.Inspect(ctx)
}

// TestComparisonThatOutlastsItsWindow is good for the next one: otherwise a move whose
// comparison takes longer than its window would never cut over.
func TestComparisonThatOutlastsItsWindow(t *testing.T) {
	t.Parallel()
	const untilOpen = 6*time.Hour + time.Minute
	w := newWorld(t)
	var ahead, looks, comparisons, before atomic.Int64
	w.clock = func() time.Time {
		at := time.Now().Add(time.Duration(ahead.Load()))
		looks.Add(1)
		return at
	}
	outlasted := make(chan struct{})
	w.wrap = func(s backends.Store) backends.Store {
		if s.Place().Backend != "two" {
			return s
		}
		return &inspected{s, func() {
			if comparisons.Add(1) == 2 { // the first is verification's own
				ahead.Store(0)
				close(outlasted)
			}
		}}
	}
	i := w.instance(t, func(_ context.Context, point string) error {
		if point == "K7" {
			before.Store(comparisons.Load())
		}
		return nil
	})
	id := i.storefront(t, 20)
	opens := time.Now().UTC().Add(6 * time.Hour)
	m := start(t, i, id, Options{CutoverWindow: opens.Format("15:04") + "-" + opens.Add(time.Hour).Format("15:04")})
	waits := func() { // it has seen that its window is closed
		seen := looks.Load()
		require.Eventually(t, func() bool { return looks.Load() > seen }, waitLong, waitStep)
	}
	waits()
	ahead.Store(int64(untilOpen))
	happens(t, outlasted, "a second comparison, since it has waited")
	require.Eventually(t, func() bool { return len(i.runner.slots) == 0 }, waitLong, waitStep, "it is over")
	waits()
	i.requireAt(t, id, "one", 1)
	put(t, i, id, "written until the next window")

	ahead.Store(int64(untilOpen))
	i.waitFor(t, m.ID, Watching)
	i.requireAt(t, id, "two", 2)
	require.EqualValues(t, 2, before.Load(), "it was compared in whole again")
}

// TestAToldMoveRestsUntilItsWindow: the word to cut over, given outside the window, does not
// keep the move awake; what is asked after it does wake it, and so does the window.
func TestAToldMoveRestsUntilItsWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ahead, looks atomic.Int64
	w.clock = func() time.Time {
		looks.Add(1) // only who has the word asks what time it is
		return time.Now().Add(time.Duration(ahead.Load()))
	}
	i := w.instance(t, nil)
	opens := time.Now().UTC().Add(6 * time.Hour)
	o := Options{ManualCutover: true, CutoverWindow: opens.Format("15:04") + "-" + opens.Add(time.Hour).Format("15:04"), TimeZone: "UTC"}
	told := func() (*Move, *grip) {
		id := i.storefront(t, 10)
		m := start(t, i, id, o)
		scene{&load{storefront: id}, t}.verified(i, m.ID)
		ask(t, i, m.ID, WantCutover)
		i.runner.mu.Lock()
		defer i.runner.mu.Unlock()
		return m, i.runner.running[m.ID]
	}
	m, g := told()
	require.Eventually(t, func() bool { return g.told.Load() && g.calm.Load() }, waitLong, waitStep, "it rests")
	before, began := looks.Load(), time.Now()
	time.Sleep(3 * letGo)
	require.LessOrEqual(t, looks.Load()-before, int64(time.Since(began)/letGo)+1, "it looks no more often than who has no word")
	ask(t, i, m.ID, WantPause)
	i.waitFor(t, m.ID, Paused)
	ask(t, i, m.ID, WantResume)
	require.Eventually(t, func() bool { return get(t, i, m.ID).Intent == WantCutover }, waitLong, waitStep, "the word outlasts a pause")
	other, _ := told()
	ask(t, i, other.ID, WantCancel)
	i.waitFor(t, other.ID, Cancelled)
	ahead.Store(int64(6*time.Hour + time.Minute))
	i.waitFor(t, m.ID, Watching)
}

// TestABeatWakesForNewsAlone: the heart of a move that was told, and rests for less than a
// second since there is something to bring over, does not end its rests.
func TestABeatWakesForNewsAlone(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	i.runner.Stop() // nobody else runs the move
	t.Cleanup(i.runner.Start)
	m := start(t, i, i.storefront(t, 1), Options{ManualCutover: true})
	ask(t, i, m.ID, WantCutover)
	x := &run{Runner: i.runner, m: m, grip: &grip{nudged: make(chan struct{}, 1)}, heard: make(chan struct{}, 1), cancel: func(error) {}}
	x.pace = x.newPace()
	x.told.Store(true)
	x.intent.Store(NoIntent)
	ctx, cancel := context.WithCancel(context.Background())
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		x.heartbeat(ctx, m.ID, m.Gen)
	}()
	for range 2 { // with the second beat the first one is over
		require.Eventually(t, func() bool { return x.intent.CompareAndSwap(WantCutover, NoIntent) }, waitLong, waitStep, "it learns what is asked")
	}
	require.Empty(t, x.heard)
	x.told.Store(false)
	happens(t, x.heard, "news")
	cancel()
	<-beating
}

func anyWait(e *Explanation, what, detail string) bool {
	for _, w := range e.Waits {
		if w.For == what && strings.Contains(w.Detail, detail) {
			return true
		}
	}
	return false
}

// TestABeginningThatIsOver is no time to begin at: a wrong year would move a shop at noon.
func TestABeginningThatIsOver(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	r := Request{Storefront: i.storefront(t, 1), Target: "two", Options: Options{BeginAt: time.Now().Add(-time.Hour).UnixMicro()}}
	_, err := i.service.Start(context.Background(), r)
	require.Equal(t, "/options/begin_at", fault.Of(err).Fields[0].Pointer)
	_, err = i.service.DryRun(context.Background(), r)
	require.Equal(t, "/options/begin_at", fault.Of(err).Fields[0].Pointer)
}

// TestATakenBackWordIsHeededAtTheLastMoment, by a mover that rested and has not heard of it.
func TestATakenBackWordIsHeededAtTheLastMoment(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	m := newScene(t, i, "one").ready(i, "two")
	i.runner.Stop()
	t.Cleanup(i.runner.Start) // so that stopping twice is no panic
	x := claimed(t, i, m.ID)
	x.intent.Store(WantCutover)
	require.ErrorIs(t, x.enter(ctx, CuttingOver, answer(WantCutover)), errTakenBack)
	require.Equal(t, Verifying, get(t, i, m.ID).Phase)
	ask(t, i, m.ID, WantCutover)
	require.NoError(t, x.enter(ctx, CuttingOver, answer(WantCutover)))
	x.handBack(ctx)
}
