package planning

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestP95LiesInsideItsBucket, of which each but the last ends at one of backends.TrafficBounds.
func TestP95LiesInsideItsBucket(t *testing.T) {
	t.Parallel()
	last := len(backends.TrafficBounds)
	for name, c := range map[string]struct {
		counts map[int]int64 // by bucket; 0: below 1 ms, 7: from 64 to 128 ms
		want   int64
	}{
		"no request":                  {nil, 0},
		"fast ones":                   {map[int]int64{0: 100}, 1},
		"a few are slower":            {map[int]int64{0: 94, 7: 6}, 75}, // a sixth of the way from 64 to 128
		"few enough are slower":       {map[int]int64{6: 95, 7: 5}, 64},
		"all of them are":             {map[int]int64{7: 100}, 125},
		"one":                         {map[int]int64{3: 1}, 8},
		"buckets between have none":   {map[int]int64{2: 50, 9: 50}, 487}, // nine tenths of the way from 256 to 512
		"above all bounds":            {map[int]int64{last: 100}, 1997},
		"as many as a day's can have": {map[int]int64{0: 9e11, 7: 1e11}, 96},
	} {
		var counts [len(backends.TrafficBounds) + 1]int64
		for bucket, n := range c.counts {
			counts[bucket] = n
		}
		require.Equal(t, c.want, p95(counts), name)
	}
}
