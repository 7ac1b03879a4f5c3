package planning

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

func TestTurnsByPriority(t *testing.T) {
	t.Parallel()
	move := func(name, backend string, bytes int64, requests float64) candidate {
		return candidate{shop: &Shop{ID: backends.StorefrontID(name), Backend: backend, Bytes: bytes, Requests: requests, Counted: name != "u"}, target: "c"}
	}
	moves := []candidate{move("d", "a", 40, 1), move("a", "a", 10, 9), move("c", "b", 30, 4), move("b", "a", 20, 5), move("e", "b", 50, 2), move("u", "b", 0, 3)}
	carried := map[string]float64{"a": 20, "b": 16, "c": 0}
	for _, c := range []struct {
		priority Priority
		canaries int64
		turns    string
	}{
		{SmallestFirst, 1, "abcdeu"}, // u is not counted: it may be the largest
		{LeastRisk, 1, "adeucb"},
		{LeastRisk, 6, "abcdeu"}, // canaries are the smallest, whatever the priority
		{Relief, 0, "acubed"},    // a 20, b 16: a; 11, 16: c; 11, 12: u; 11, 9: b; 6, 9: e, d
	} {
		var turns []string
		for _, m := range inOrder(moves, PlanOptions{Priority: c.priority, Canaries: &c.canaries}, carried) {
			turns = append(turns, string(m.shop.ID))
		}
		require.Equal(t, c.turns, strings.Join(turns, ""), c.priority)
	}
	require.Equal(t, "dacbeu", func() (all string) {
		for _, m := range moves {
			all += string(m.shop.ID)
		}
		return all
	}(), "the argument is left as it was")
}

func TestWaves(t *testing.T) {
	t.Parallel()
	for canaries, want := range [][]int64{{0, 0, 0, 1, 1, 1, 2, 2}, {0, 1, 1, 1, 2, 2, 2, 3}, {0, 0, 1, 1, 1, 2, 2, 2}} {
		var waves []int64
		for i := range 8 {
			waves = append(waves, waveOf(i, PlanOptions{Canaries: new(int64(canaries)), WaveSize: 3}))
		}
		require.Equal(t, want, waves, "%d canaries", canaries)
	}
}

func TestNoBackendHasMoreThanItMay(t *testing.T) {
	t.Parallel()
	taken := occupied{"a": 1}
	for _, c := range []struct {
		source, target string
		fits           bool
	}{{"a", "b", true}, {"a", "c", false}, {"c", "a", false}, {"c", "d", true}, {"c", "d", true}, {"c", "d", false}} {
		require.Equal(t, c.fits, taken.free(c.source, c.target, 2), "%+v", c)
		require.Equal(t, c.fits, taken.take(c.source, c.target, 2), "%+v", c)
	}
	require.Equal(t, occupied{"a": 2, "b": 1, "c": 2, "d": 2}, taken)
	taken.leave("c", "d")
	require.True(t, taken.take("d", "c", 2))
}
