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

// TestETALeavesPausesOut: half was copied in ten seconds, with a minute's pause amidst them.
func TestETALeavesPausesOut(t *testing.T) {
	t.Parallel()
	const second = 1_000_000
	m := &migration.Move{Phase: migration.Copying, Stats: migration.Stats{
		PausedMicros: 60 * second, PhaseStartedAt: map[migration.Phase]int64{migration.Copying: 1000 * second},
	}}
	require.EqualValues(t, (1060+2*20)*second, eta(m, 50, 100, 1070*second))
}
