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
