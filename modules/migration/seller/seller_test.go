package seller

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration"
	"smartseller/platform/fault"
)

// TestStates: there are words for a seller for every phase that a move can be in, or end in.
func TestStates(t *testing.T) {
	t.Parallel()
	for _, p := range migration.Phases() {
		require.NotEmpty(t, states[p], p)
	}
	require.Equal(t, NotMoved, states[migration.Rehearsed])
}

// TestETALeavesPausesOut: half is copied in ten seconds, with pauses before and amidst them;
// comparing is taken to last as long as copying does.
func TestETALeavesPausesOut(t *testing.T) {
	t.Parallel()
	const second, now = 1_000_000, 9_000_000_000
	m := &migration.Move{Phase: migration.Copying, Stats: migration.Stats{
		WorkedMicros:   map[migration.Phase]int64{migration.Paused: 3600 * second, migration.Copying: 6 * second},
		SinceMicros:    now - 4*second,
		PhaseStartedAt: map[migration.Phase]int64{migration.Copying: second},
	}}
	require.EqualValues(t, now+30*second, eta(m, 50, 100, now))
	require.Zero(t, eta(m, 0, 100, now))
	m.Phase, m.Stats.WorkedMicros[migration.Copying], m.Stats.WorkedMicros[migration.CatchingUp] = migration.Verifying, 20*second, second
	require.EqualValues(t, now+15*second, eta(m, 100, 100, now))
	m.Options.Mode = migration.Rehearsal
	require.Zero(t, eta(m, 100, 100, now), "it is not to change over")
	m.Options.Mode, m.Phase = "", migration.Paused
	require.Zero(t, eta(m, 100, 100, now))
}

// TestNotNowIsATime that lies ahead, and not too far.
func TestNotNowIsATime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for code, n := range map[string]NotNow{
		"":            {From: now, Until: now.Add(longest)},
		"before_from": {From: now.Add(time.Hour), Until: now.Add(time.Hour)},
		"in_the_past": {From: now.Add(-time.Hour), Until: now},
		"too_far":     {From: now, Until: now.Add(longest + time.Microsecond)},
	} {
		err := n.check(now)
		if code == "" {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, code, fault.Of(err).Fields[0].Code)
	}
}
