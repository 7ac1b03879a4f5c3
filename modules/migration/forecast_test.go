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

// TestPausesAreNoWork: a phase that goes on behind a pause has begun when it did, and what was
// done is counted without it.
func TestPausesAreNoWork(t *testing.T) {
	t.Parallel()
	m := &Move{Phase: Planned}
	m.begins(Paused, 5)
	m.ResumePhase = Planned
	m.begins(Planned, 1005)
	m.begins(Preparing, 1010)
	m.begins(Copying, 1020)
	m.begins(Paused, 1030)
	m.ResumePhase = Copying
	m.begins(Copying, 2030)
	m.begins(CatchingUp, 2040)
	require.EqualValues(t, 1020, m.Stats.PhaseStartedAt[Copying])
	require.EqualValues(t, 10, m.Stats.Worked(Preparing, m.Phase, 2050))
	require.EqualValues(t, 20, m.Stats.Worked(Copying, m.Phase, 2050))
	require.EqualValues(t, 10, m.Stats.Worked(CatchingUp, m.Phase, 2050))
	old := Stats{PhaseStartedAt: map[Phase]int64{Copying: 7}} // of a program that noted less
	require.EqualValues(t, 3, old.Worked(Copying, Copying, 10))
}
