package ids_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/ids"
)

// TestBetween: what comes behind a random point is any of the identifiers, the first and
// the last among them, and there is always one.
func TestBetween(t *testing.T) {
	t.Parallel()
	all := make([]string, 8)
	for i := range all {
		all[i] = ids.Named(uint64(i), "spread out")
	}
	met := map[string]bool{}
	for range 1000 {
		point, err := ids.Between(all[0], all[len(all)-1])
		require.NoError(t, err)
		i := slices.IndexFunc(all, func(id string) bool { return id > point })
		require.GreaterOrEqual(t, i, 0)
		met[all[i]] = true
	}
	require.Len(t, met, len(all)-1, "the first one's share of the span is one point in it")
	alone, err := ids.Between(all[3], all[3])
	require.NoError(t, err)
	require.Less(t, alone, all[3])
	_, err = ids.Between("", all[0])
	require.Error(t, err)
}
