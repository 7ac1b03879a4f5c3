package planning

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"smartseller/backends"
	"smartseller/modules/migration"
)

var threeKinds = map[string]backends.Kind{"a": backends.SharedPostgres, "b": backends.DedicatedPostgres, "c": backends.SQLite}

func foretold(t require.TestingT, in imagined) *Forecast {
	f, err := simulate(context.Background(), in)
	require.NoError(t, err)
	return f
}

// TestASimulationIsCancelled once nobody wants to know any more.
func TestASimulationIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	looked := 0
	in := someMoves(make([]int64, 3*lookAround)...)
	in.options.AtOnce, in.day = false, func(*Shop) Day {
		looked++
		cancel()
		return Day{}
	}
	_, err := simulate(ctx, in)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, looked, lookAround)
}

// TestAForecastToTheSecond of three moves whose times are known.
func TestAForecastToTheSecond(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shop := func(name string, rows int64) *Shop {
		return &Shop{ID: backends.StorefrontID(name), Slug: name, Backend: "a", TimeZone: "Europe/Berlin", Counted: true, Rows: rows, Bytes: 10 * rows, Writes: 1, Requests: 2}
	}
	fleet := []*Shop{shop("x", 1000), shop("y", 2000), shop("z", 3000), shop("stays", 1)}
	in := imagined{
		fleet: fleet, kinds: threeKinds, instances: 1, from: from, day: func(*Shop) Day { return Day{} },
		rates:     migration.Rates{{Source: backends.SharedPostgres, Target: backends.DedicatedPostgres}: {Source: backends.SharedPostgres, Target: backends.DedicatedPostgres, FixedSeconds: 5, RowsPerSecond: 100, Comparison: 0.4, Measured: 7, LargestRows: 300}},
		options:   PlanOptions{PerBackend: 1, SoakSeconds: 60, WindowSeconds: 3600, CutoverWindow: "13:01-13:02"},
		blackouts: map[backends.StorefrontID]migration.Blackouts{"y": {{From: from.Add(-time.Hour), Until: from.Add(10 * time.Minute)}}},
	}
	for n, s := range fleet[:3] {
		in.moves = append(in.moves, &simulated{shop: s, target: "b", reason: "why", wave: int64(min(n, 1))})
	}
	f := foretold(t, in)
	at := func(after time.Duration) int64 { return from.Add(after).UnixMicro() }
	const day = 24 * time.Hour
	require.Equal(t, []Turn{
		{"x", "a", "b", "why", at(0), at(66 * time.Second)},                     // 15 s of work, then the window of Berlin's 13:01, and 6 s
		{"z", "a", "b", "why", at(126 * time.Second), at(day + 84*time.Second)}, // soaked; y is barred, and compares before it
		{"y", "a", "b", "why", at(10 * time.Minute), at(day + 70*time.Second)},
	}, f.Next)
	require.EqualValues(t, 15+25+35+6+10+14, f.WorkSeconds)
	require.EqualValues(t, (day + 84*time.Second).Seconds(), f.Seconds)
	require.EqualValues(t, (day + 84*time.Second - 126*time.Second - 35*time.Second).Seconds(), f.LongestWait)
	require.Equal(t, []migration.Rate{in.rates[migration.Ends{Source: backends.SharedPostgres, Target: backends.DedicatedPostgres}]}, f.Rates)
	require.Empty(t, f.Assumptions)
	fleet[1].Rows, fleet[2].Rows = 3001, 3001
	require.Equal(t, []string{"2 moves from shared-postgres to dedicated-postgres are of storefronts many times larger than any that was measured, of 300 rows at most: how long they take is assumed"},
		foretold(t, in.anew()).Assumptions)
	require.Equal(t, Load{Storefronts: 4, Bytes: 60010, Requests: 8, Writes: 4}, f.Backends[0].Before)
	require.Equal(t, Load{Storefronts: 1, Bytes: 10, Requests: 2, Writes: 1}, f.Backends[0].After)
	require.Equal(t, Load{Storefronts: 3, Bytes: 60000, Requests: 6, Writes: 3}, f.Backends[1].After)
	require.EqualValues(t, 60010, f.Backends[0].PeakBytes)
}

// TestForecastsOfANight: cutovers have places of their own at a backend, and what outlasts
// its window cuts over in the next one.
func TestForecastsOfANight(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		perBackend int64
		last       string  // the zone of the last one; the others go by UTC
		rows       []int64 // a hundred a second, and half the time to compare
		moved      []time.Duration
	}{
		"beside a long copy, which outlasts its window":         {1, "UTC", []int64{1000, 10_000_000}, []time.Duration{65 * time.Second, 3*day + time.Minute}},
		"one after another":                                     {1, "UTC", []int64{3000, 2000, 1000}, []time.Duration{75 * time.Second, 85 * time.Second, 90 * time.Second}},
		"two at a time":                                         {2, "UTC", []int64{3000, 3000, 3000}, []time.Duration{75 * time.Second, 75 * time.Second, 90 * time.Second}},
		"the second one outlasts its window, the third waits":   {1, "UTC", []int64{5000, 5000, 100}, []time.Duration{85 * time.Second, day + time.Minute, day + time.Minute + 500*time.Millisecond}},
		"what outlasts its window is in nobody's way meanwhile": {1, "Europe/Berlin", []int64{5000, 5000, 1000}, []time.Duration{85 * time.Second, day + time.Minute, day - time.Hour + 65*time.Second}},
	} {
		in := imagined{
			kinds: threeKinds, instances: 1, from: from, day: func(*Shop) Day { return Day{} },
			rates:   migration.Rates{{Source: backends.SharedPostgres, Target: backends.DedicatedPostgres}: {RowsPerSecond: 100, Comparison: 0.5}},
			options: PlanOptions{Canaries: new(int64(9)), PerBackend: c.perBackend, CutoverWindow: "12:01-12:02"},
		}
		for n, rows := range c.rows {
			shop := &Shop{ID: backends.StorefrontID(fmt.Sprint(n)), Backend: "a", TimeZone: "UTC", Rows: rows}
			if n == len(c.rows)-1 {
				shop.TimeZone = c.last
			}
			in.fleet = append(in.fleet, shop)
			in.imagine([]candidate{{shop, "b", ""}})
		}
		foretold(t, in)
		var moved []time.Duration
		for _, m := range in.moves {
			moved = append(moved, m.moved.Sub(from))
		}
		require.Equal(t, c.moved, moved, name)
	}
}

// TestAReplacedCanaryIsForetold: it stands behind moves of later waves, which wait for it.
func TestAReplacedCanaryIsForetold(t *testing.T) {
	t.Parallel()
	waves := []int64{1, 0, 1, 2}
	in := someMoves(waves...)
	f := foretold(t, in)
	require.Len(t, f.Next, len(waves))
	for _, c := range in.moves {
		for _, m := range in.moves {
			require.False(t, c.wave < m.wave && m.begun.Before(c.moved), "%s before %s", m.shop.Slug, c.shop.Slug)
		}
	}
	require.Empty(t, f.Notes)
	require.Equal(t, []string{"1", "0", "2", "3"}, []string{f.Next[0].Slug, f.Next[1].Slug, f.Next[2].Slug, f.Next[3].Slug})
}

// TestASoakUnderWayIsForetold of canaries that have come to their targets already.
func TestASoakUnderWayIsForetold(t *testing.T) {
	t.Parallel()
	in := someMoves(1)
	in.options.SoakSeconds, in.done = 7200, progress{proved: true, canaries: in.from.Add(-time.Hour)}
	f := foretold(t, in)
	require.Equal(t, in.from.Add(time.Hour).UnixMicro(), f.Next[0].Begins)
	in = someMoves(1)
	in.options.SoakSeconds, in.done = 7200, progress{proved: true, canaries: in.from.Add(-3 * time.Hour)}
	require.Equal(t, in.from.UnixMicro(), foretold(t, in).Next[0].Begins)
}

// TestWhatWouldNeverBeginIsNamed instead of being left out.
func TestWhatWouldNeverBeginIsNamed(t *testing.T) {
	t.Parallel()
	in := someMoves(make([]int64, nextTurns+2)...)
	in.options.PerBackend = 0
	f := foretold(t, in)
	require.Empty(t, f.Next)
	require.Contains(t, f.Notes[0], "22 moves would never begin, and what is foretold ends without them: 0, 1, 2, ")
	require.Contains(t, f.Notes[0], ", 18, 19 and 2 more")
	in = someMoves(0)
	in.options.PerBackend = 0
	f = foretold(t, in)
	require.Contains(t, f.Notes[0], "1 moves would never begin, and what is foretold ends without them: 0")
}

// TestWhatIsNotCountedIsSaid: its moves take longer than is foretold.
func TestWhatIsNotCountedIsSaid(t *testing.T) {
	t.Parallel()
	in := someMoves(0, 1, 1)
	require.NotContains(t, strings.Join(foretold(t, in).Assumptions, "\n"), "not counted")
	in.fleet[0].Counted, in.fleet[2].Counted = false, false
	require.Contains(t, foretold(t, in.anew()).Assumptions, "2 storefronts that move are not counted yet, and are taken for empty ones: ask again in a while")
}

// someMoves are of storefronts that are called by their turns, in these waves.
func someMoves(waves ...int64) imagined {
	in := imagined{
		kinds: threeKinds, rates: migration.Rates{}, instances: 1, from: syntheticStart, day: func(*Shop) Day { return Day{} },
		options: PlanOptions{PerBackend: 9, AtOnce: true},
	}
	for n, wave := range waves {
		name := fmt.Sprint(n)
		shop := &Shop{ID: backends.StorefrontID(name), Slug: name, Backend: "a", TimeZone: "UTC", Counted: true}
		in.fleet = append(in.fleet, shop)
		in.moves = append(in.moves, &simulated{shop: shop, target: "b", wave: wave})
	}
	return in
}

// TestForecastsKeepTheRules that plans are carried out by, whatever the fleet.
func TestForecastsKeepTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := someImagined(t)
		f := foretold(t, in)
		require.Equal(t, f, foretold(t, in.anew()), "a function of its arguments")
		require.LessOrEqual(t, len(f.Times), samples)
		for i := range f.Times {
			require.True(t, i == 0 || f.Times[i] >= f.Times[i-1])
			var storefronts int64
			for _, c := range f.Backends {
				storefronts += c.Over[i].Storefronts
			}
			require.EqualValues(t, len(in.fleet), storefronts, "none is lost on the way")
		}
		lastOf := map[int64]time.Time{}
		for _, m := range in.moves {
			require.False(t, m.begun.IsZero() || m.moved.Before(m.begun))
			if m.moved.After(lastOf[m.wave]) {
				lastOf[m.wave] = m.moved
			}
			window, err := migration.ParseWindow(in.options.CutoverWindow, m.shop.TimeZone)
			require.NoError(t, err)
			require.True(t, window.Open(m.moved), "%s", m.moved)
		}
		for _, m := range in.moves {
			require.False(t, m.wave > 0 && m.begun.Before(lastOf[m.wave-1]), "wave after wave")
			copying := func(m *simulated) (from, until time.Time) { return m.begun, m.ready }
			cuttingOver := func(m *simulated) (from, until time.Time) { return m.let, m.compared }
			require.LessOrEqual(t, in.beside(m, copying), in.options.PerBackend)
			require.LessOrEqual(t, in.beside(m, cuttingOver), in.options.PerBackend)
		}
	})
}

// beside is how many moves at one backend of a move, itself included, do at most what it
// begins to do.
func (in *imagined) beside(m *simulated, does func(*simulated) (from, until time.Time)) int64 {
	at := map[string]int64{}
	begins, _ := does(m)
	for _, other := range in.moves {
		if from, until := does(other); !from.After(begins) && until.After(begins) {
			at[other.shop.Backend]++
			at[other.target]++
		}
	}
	return max(at[m.shop.Backend], at[m.target])
}

func (in imagined) anew() imagined {
	moves := in.moves
	in.moves = nil
	for _, m := range moves {
		in.moves = append(in.moves, &simulated{shop: m.shop, target: m.target, reason: m.reason, wave: m.wave})
	}
	return in
}

func someImagined(t *rapid.T) imagined {
	in := imagined{
		kinds: threeKinds, rates: migration.Rates{}, instances: rapid.IntRange(1, 2).Draw(t, "instances"), from: syntheticStart, day: syntheticDays(),
		options: PlanOptions{
			PerBackend: rapid.Int64Range(1, 3).Draw(t, "per_backend"), Canaries: new(rapid.Int64Range(0, 3).Draw(t, "canaries")), WaveSize: rapid.Int64Range(1, 9).Draw(t, "wave"),
			AtOnce: rapid.Bool().Draw(t, "at_once"), CutoverWindow: rapid.SampledFrom([]string{"", "02:00-04:00"}).Draw(t, "window"),
		},
	}
	names := []string{"a", "b", "c"}
	for n := range rapid.IntRange(1, 30).Draw(t, "shops") {
		source := rapid.IntRange(0, 2).Draw(t, "source")
		shop := &Shop{
			ID: backends.StorefrontID(fmt.Sprint(n)), Backend: names[source], TimeZone: rapid.SampledFrom(syntheticZones).Draw(t, "zone"),
			Rows: rapid.Int64Range(0, 1_000_000).Draw(t, "rows"), Requests: float64(rapid.IntRange(0, 9).Draw(t, "requests")),
		}
		in.fleet = append(in.fleet, shop)
		if rapid.IntRange(0, 3).Draw(t, "stays") > 0 {
			in.imagine([]candidate{{shop, names[(source+1)%3], ""}})
		}
	}
	for n, m := range in.moves {
		m.wave = waveOf(n, in.options)
	}
	if len(in.moves) > 0 && rapid.Bool().Draw(t, "replaced") {
		in.moves[rapid.IntRange(0, len(in.moves)-1).Draw(t, "canary")].wave = 0
	}
	return in
}

// TestAHundredThousandStorefronts are foretold, and the same again for the same seed.
func TestAHundredThousandStorefronts(t *testing.T) {
	t.Parallel()
	forecast := func(storefronts int, seed uint64, options PlanOptions) *Forecast {
		in, err := imagineFleet(Imagine{Synthetic: storefronts, Seed: seed, NewPlan: NewPlan{Options: options}})
		require.NoError(t, err)
		in.rates, in.instances = migration.Rates{}, 2
		return foretold(t, in)
	}
	options := PlanOptions{WaveSize: 500, PerBackend: 4}
	f := forecast(100_000, 7, options)
	require.EqualValues(t, 100_000, f.Storefronts)
	require.Greater(t, f.Moves, int64(5000))
	require.Len(t, f.Next, nextTurns)
	require.NotEmpty(t, f.Assumptions, "nothing was measured, and that is said")
	moved := map[string]int64{}
	for _, c := range f.Backends {
		moved[c.Backend] = c.After.Storefronts - c.Before.Storefronts
	}
	require.Positive(t, moved["dedicated-1"])
	require.Positive(t, moved["files-1"])
	require.Negative(t, moved["shared-1"], "it had twice as many as any other")
	again := forecast(3000, 7, options)
	require.Equal(t, again, forecast(3000, 7, options))
	require.NotEqual(t, again, forecast(3000, 8, options))
	require.Greater(t, forecast(3000, 7, PlanOptions{WaveSize: 20}).Seconds, again.Seconds, "small waves take longer")
}
