package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
)

// TestAPlannedMoveNamesBoth, the storefront and where it goes: what does not is refused unasked.
func TestAPlannedMoveNamesBoth(t *testing.T) {
	t.Parallel()
	body, err := (&planned{Moves: []string{"demo=files-2", "toys=files-1"}}).body()
	require.NoError(t, err)
	require.Equal(t, []map[string]string{{"storefront": "demo", "target": "files-2"}, {"storefront": "toys", "target": "files-1"}}, body["moves"])
	for _, wrong := range []string{"demo", "demo=", "=files-2", "=", ""} {
		_, err := (&planned{Moves: []string{"toys=files-1", wrong}}).body()
		require.ErrorContains(t, err, `"`+wrong+`" must be STOREFRONT=BACKEND`)
		require.Equal(t, 65, fault.Of(err).Kind.Meaning().Exit)
	}
}
