package seller

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration"
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
	m.Phase = migration.Paused
	require.Zero(t, eta(m, 100, 100, now))
}
