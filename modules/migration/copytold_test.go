package migration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestACopyTellsOfEachPercent, and now and then that it goes on: a story that grew every half a
// second would be as long as the copy.
func TestACopyTellsOfEachPercent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		copied int64
		ago    time.Duration
		due    bool
	}{
		{10, 0, false}, {10, toldEvery, true}, {9, toldEvery, false}, {9, toldLeast, true}, {2000, toldEvery, true},
	} {
		s := &told{total: 1000, at: time.Now().Add(-c.ago)}
		require.Equal(t, c.due, s.due(backends.Progress{Copied: c.copied}), "%+v", c)
		require.False(t, s.due(backends.Progress{Copied: c.copied}), "it was told")
	}
}
