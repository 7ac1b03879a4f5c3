package migration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

func TestRatesComeFromWhatWasMeasured(t *testing.T) {
	t.Parallel()
	between := Ends{backends.SQLite, backends.SharedPostgres}
	r := fitted(between, []observation{{rows: 1000, seconds: 12}, {rows: 2000, seconds: 14}, {rows: 5000, seconds: 20}})
	require.InDelta(t, 10, r.FixedSeconds, 1e-9)
	require.InDelta(t, 500, r.RowsPerSecond, 1e-9)
	require.Equal(t, 3, r.Measured)
	require.EqualValues(t, 5000, r.LargestRows)
	require.False(t, r.Exceeds(50_000))
	require.True(t, r.Exceeds(50_001))
	require.False(t, Rate{}.Exceeds(1), "all of it is assumed")
	require.Zero(t, Rates{}.Of(backends.SQLite, backends.SQLite).Measured)

	r = fitted(between, []observation{{1000, 1, 10, 2e6, 0.1}, {2000, 2, 20, 3e6, 0.4}, {3000, 3, 5000, 4e6, 1}, {4000, 4, 30, 0, 1}})
	require.EqualValues(t, 5000, r.StallMicros)
	require.InDelta(t, 0.25, r.Comparison, 1e-9)
	require.InDelta(t, 2, r.Compares(8000).Seconds(), 1e-6)
	require.InDelta(t, 1e6, r.FixedBytes, 1e-3)
	require.InDelta(t, 1000, r.BytesPerRow, 1e-6)

	stats := Stats{
		Rows: map[string]int64{"a": 3, "b": 4}, ReadyMicros: 4e6, VerifiedAt: 800e6, CommittedAt: 901e6, // verified anew by who took it over
		WorkedMicros: map[Phase]int64{Preparing: 1e6, Copying: 5e5, CatchingUp: 5e5, Verifying: 897e6}, PhaseStartedAt: map[Phase]int64{CuttingOver: 900e6},
	}
	o, ok := observed(stats)
	require.True(t, ok)
	require.Equal(t, observation{rows: 7, seconds: 5, compared: 2}, o, "without waiting for the cutover")
	stats.PhaseStartedAt[Paused] = 2e6
	_, ok = observed(stats)
	require.False(t, ok)
}

// TestFewRowsSayLittleOfMany: what moves of about one size took says how long one of that size
// takes, and how long much larger ones take only where they were large.
func TestFewRowsSayLittleOfMany(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		measured    []observation
		rows        int64
		takes       float64 // seconds
		bytesPerRow float64
	}{
		"one tiny move, and one as large":            {[]observation{{rows: 6, seconds: 0.5, bytes: 6e4}}, 6, 0.5, 1e4},
		"one tiny move, and a large one":             {[]observation{{rows: 6, seconds: 0.5, bytes: 6e4}}, 1_750_000, 175.5, 1e4},
		"tiny moves with a slope of chance":          {[]observation{{rows: 6, seconds: 0.5}, {rows: 8, seconds: 0.9}}, 1_750_000, 175.7, 0},
		"an empty one":                               {[]observation{{rows: 0, seconds: 2}}, 7, 2.0007, 0},
		"of one size":                                {[]observation{{rows: 1000, seconds: 10}, {rows: 1000, seconds: 10}}, 1000, 10, 0},
		"of one size, faster than assumed":           {[]observation{{rows: 50_000, seconds: 1}}, 100_000, 2, 0},
		"large ones of one size, slower":             {[]observation{{rows: 1_000_000, seconds: 1000, bytes: 1e9}}, 2_000_000, 2000, 1000},
		"the larger one was faster":                  {[]observation{{rows: 1000, seconds: 20}, {rows: 2000, seconds: 10}}, 1500, 15, 0},
		"of different sizes, which is what it needs": {[]observation{{rows: 1000, seconds: 2}, {rows: 2000, seconds: 3}}, 10_000, 11, 0},
	} {
		r := fitted(Ends{backends.SQLite, backends.SQLite}, c.measured)
		require.InDelta(t, c.takes, r.Takes(c.rows).Seconds(), 1e-3, name)
		require.InDelta(t, c.bytesPerRow, r.BytesPerRow, 1e-6, name)
	}
}
