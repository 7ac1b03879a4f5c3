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
	r = fitted(between, []observation{{rows: 1000, seconds: 10}, {rows: 1000, seconds: 10}})
	require.Equal(t, Rate{Source: backends.SQLite, Target: backends.SharedPostgres, RowsPerSecond: 100, Measured: 2}, r, "as if all of it were for the rows")
	r = fitted(between, []observation{{rows: 1000, seconds: 20}, {rows: 2000, seconds: 10}})
	require.Equal(t, Rate{Source: backends.SQLite, Target: backends.SharedPostgres, RowsPerSecond: 100, Measured: 2}, r)
	require.Positive(t, fitted(between, []observation{{rows: 0, seconds: 2}}).Takes(7), "an empty storefront alone")
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
