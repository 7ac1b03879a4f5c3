package migration

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestForecast: a dry run says how a move will go and what that comes from: assumptions,
// then moves between the same kinds, then the rehearsal of this very one. The receipt
// has what was foretold beside what it took.
func TestForecast(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id, other := i.storefront(t, 300), i.storefront(t, 200)
	foretold := func(s backends.StorefrontID) *Estimate {
		p, err := i.service.DryRun(ctx, Request{Storefront: s, Target: "two"})
		require.NoError(t, err)
		require.Equal(t, p.Rows, p.Forecast.Rows)
		require.Positive(t, min(p.Forecast.Ready, p.Forecast.Stall, p.Forecast.Bytes), "%+v", p.Forecast)
		return p.Forecast
	}
	f := foretold(id)
	require.Contains(t, f.Basis, "assumed, since no move from sqlite to sqlite has been measured: 10 s and 10000 rows a second")
	require.Contains(t, f.Basis, "as many bytes as at the source")

	m := start(t, i, other, Options{})
	i.waitFor(t, m.ID, Watching)
	ask(t, i, m.ID, WantFinalize)
	m = i.waitFor(t, m.ID, Completed)
	var signed struct{ Receipt Receipt }
	require.NoError(t, json.Unmarshal([]byte(m.Receipt), &signed))
	require.Contains(t, signed.Receipt.Forecast.Basis, "assumed")
	require.Positive(t, min(signed.Receipt.Actual.Ready, signed.Receipt.Actual.Stall, signed.Receipt.Actual.Bytes))
	f = foretold(id)
	require.Contains(t, f.Basis, "the latest 1 measured moves from sqlite to sqlite")
	require.NotContains(t, f.Basis, "as at the source")
	require.Equal(t, signed.Receipt.Actual.Stall, f.Stall)

	m = i.waitFor(t, start(t, i, id, Options{Mode: Rehearsal}).ID, Rehearsed)
	put(t, i, id, "one more")
	f = foretold(id)
	require.Equal(t, m.ID, f.Move)
	require.Contains(t, f.Basis, "the rehearsal of this storefront before, the same way, with 300 rows; there are 301 now")
	require.Equal(t, m.Stats.StallMicros, f.Stall)
	require.Greater(t, f.Ready, m.measured().Ready)
}

// TestPausesAreNoWork: a phase that goes on behind a pause is as old as it was, and what was
// done is counted without it.
func TestPausesAreNoWork(t *testing.T) {
	t.Parallel()
	m := &Move{Phase: Copying, ResumePhase: Copying, Stats: Stats{PhaseStartedAt: map[Phase]int64{Preparing: 10, Copying: 20}}}
	m.begins(Paused, 30)
	m.begins(Copying, 1030)
	require.EqualValues(t, 20, m.Stats.PhaseStartedAt[Copying])
	require.EqualValues(t, 1000, m.Stats.PausedMicros)
	m.begins(CatchingUp, 1040)
	require.EqualValues(t, 1040, m.Stats.PhaseStartedAt[CatchingUp])
	require.EqualValues(t, 1000, m.Stats.PausedMicros)
}
