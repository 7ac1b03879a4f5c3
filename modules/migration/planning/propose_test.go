package planning_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"smartseller/backends"
	"smartseller/modules/migration/planning"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shop is a storefront that came to its backend long ago and was used just now.
func shop(name, backend string, customers int64) *planning.Shop {
	return &planning.Shop{
		ID: backends.StorefrontID(name), Slug: name, Backend: backend, Counted: true, Rows: customers, Bytes: 100 * customers,
		ActiveAt: noon.UnixMicro(), Tables: map[string]int64{"customers": customers},
	}
}

func policy(t require.TestingT, lines ...string) *planning.Policy {
	p, err := planning.ParsePolicy(strings.Join(lines, "\n"), vocabulary)
	require.NoError(t, err)
	return p
}

// proposed is what a policy says, as "storefront -> target (rule)".
func proposed(v planning.Verdict) (out []string) {
	for _, p := range v.Proposals {
		out = append(out, fmt.Sprintf("%s -> %s (%s)", p.Slug, p.Target, p.Rule))
	}
	return out
}

// carryOut moves storefronts as proposed.
func carryOut(fleet []*planning.Shop, v planning.Verdict, now time.Time) {
	for _, p := range v.Proposals {
		i := slices.IndexFunc(fleet, func(s *planning.Shop) bool { return s.ID == p.Storefront })
		fleet[i].Backend, fleet[i].PlacedAt = p.Target, now.UnixMicro()
	}
}

func TestSamplePolicyProposes(t *testing.T) {
	t.Parallel()
	p, err := planning.ParsePolicy(sample(t), vocabulary)
	require.NoError(t, err)
	asleep := noon.Add(-31 * 24 * time.Hour).UnixMicro()
	change := func(s *planning.Shop, f func(s *planning.Shop)) *planning.Shop {
		f(s)
		return s
	}
	v := planning.Evaluate([]*planning.Shop{
		shop("medium", "shared-1", 50_000),
		shop("large", "shared-1", 50_001),
		change(shop("busy", "files", 3), func(s *planning.Shop) { s.Writes = 20.5 }),
		change(shop("asleep", "shared-1", 499), func(s *planning.Shop) { s.ActiveAt = asleep }),
		change(shop("asleep-but-large", "shared-1", 500), func(s *planning.Shop) { s.ActiveAt = asleep }),
		change(shop("asleep-elsewhere", "pg", 1), func(s *planning.Shop) { s.ActiveAt = asleep }),
		change(shop("uncounted", "shared-1", 0), func(s *planning.Shop) { s.ActiveAt, s.Counted = asleep, false }),
		change(shop("moving", "shared-1", 60_000), func(s *planning.Shop) { s.Moving = true }),
		change(shop("new", "shared-1", 60_000), func(s *planning.Shop) { s.PlacedAt = noon.Add(-6 * 24 * time.Hour).UnixMicro() }),
	}, vocabulary, p, noon)
	require.Equal(t, []string{"large -> pg (large)", "busy -> pg (large)", "asleep -> files (sleepy)"}, proposed(v))
	require.Equal(t, "customers is 50001 (customers > 50000)", v.Proposals[0].Reason)
	require.Equal(t, "writes_per_second is 20.50 (writes_per_second > 20)", v.Proposals[1].Reason)
	require.Equal(t, "customers is 499 (customers < 500); bytes is 49900 (bytes < 64 MiB); idle is 31 days (idle > 30d)", v.Proposals[2].Reason)
	require.Equal(t, []int{1, 1, 1}, []int{v.Cooling, v.Moving, v.Uncounted})
	require.Empty(t, v.Unplaced)
}

func TestAFullBackendIsRelievedDownToTheLowWaterMark(t *testing.T) {
	t.Parallel()
	p := policy(t, "hysteresis: 25%", "rebalance:", "  above: 80%", "  capacities:", "    shared-1: {customers: 100}", "    shared-2: {customers: 100}")
	fleet := func(elsewhere int64) []*planning.Shop {
		return []*planning.Shop{
			shop("a", "shared-1", 30), shop("b", "shared-1", 25), shop("c", "shared-1", 15), shop("d", "shared-1", 11), shop("e", "shared-2", elsewhere), shop("f", "pg", 999),
		}
	}
	v := planning.Evaluate(fleet(0), vocabulary, p, noon)
	require.Equal(t, []string{"a -> shared-2 (rebalance)"}, proposed(v), "51 of 100 are under 60 %")
	require.Equal(t, "shared-1 carries 81 % of its customers and is relieved down to 60 %", v.Proposals[0].Reason)
	v = planning.Evaluate(fleet(40), vocabulary, p, noon)
	require.Equal(t, []string{"c -> shared-2 (rebalance)"}, proposed(v), "what comes stays under 60 % as well")
	require.Empty(t, v.Unplaced)
	v = planning.Evaluate(fleet(55), vocabulary, p, noon)
	require.Empty(t, v.Proposals)
	require.Contains(t, v.Unplaced[0].Reason, "shared-1 still carries 81 % of its customers")
	p = policy(t, "rebalance:", "  above: 80%", "  capacities:", "    shared-1: {customers: 80}", "    pg: {customers: 5}",
		"rules:", "  - {name: out, all: [customers > 28], to: pg}")
	v = planning.Evaluate(fleet(0), vocabulary, p, noon)
	require.Contains(t, v.Unplaced[0].Reason, "pg would carry 20580 % of its customers, more than 80 %", "a rule heeds capacities too")
}

// TestWhatIsOnItsWayCountsWhereItGoes: a policy that is asked again while its moves wait for
// their night proposes nothing on top.
func TestWhatIsOnItsWayCountsWhereItGoes(t *testing.T) {
	t.Parallel()
	p := policy(t, "hysteresis: 25%", "rebalance:", "  above: 80%", "  capacities:", "    shared-1: {customers: 100}", "    shared-2: {customers: 100}")
	fleet := []*planning.Shop{shop("a", "shared-1", 30), shop("b", "shared-1", 25), shop("c", "shared-1", 15), shop("d", "shared-1", 20)}
	v := planning.Evaluate(fleet, vocabulary, p, noon)
	require.Equal(t, []string{"a -> shared-2 (rebalance)"}, proposed(v))
	fleet[0].Moving, fleet[0].Going = true, "shared-2"
	require.Empty(t, proposed(planning.Evaluate(fleet, vocabulary, p, noon)))
	fleet[3] = shop("d", "shared-1", 50)
	v = planning.Evaluate(fleet, vocabulary, p, noon)
	require.Equal(t, []string{"b -> shared-2 (rebalance)"}, proposed(v), "beside the 30 that are on their way 30 more have room")
}

// TestRoomIsWhatThereIsBeforeAnythingLeaves: plans are carried out in any order, and may leave
// moves out.
func TestRoomIsWhatThereIsBeforeAnythingLeaves(t *testing.T) {
	t.Parallel()
	p := policy(t, "hysteresis: 25%", "rules:", "  - {name: out, from: shared-2, all: [customers > 50], to: pg}", "  - {name: in, from: shared-1, all: [customers > 20], to: shared-2}",
		"rebalance:", "  above: 80%", "  capacities:", "    shared-2: {customers: 100}")
	fleet := []*planning.Shop{shop("leaves", "shared-2", 55), shop("comes", "shared-1", 25)}
	v := planning.Evaluate(fleet, vocabulary, p, noon)
	require.Equal(t, []string{"leaves -> pg (out)"}, proposed(v))
	require.Contains(t, v.Unplaced[0].Reason, "shared-2 would carry 80 % of its customers")
	carryOut(fleet, v, noon)
	require.Equal(t, []string{"comes -> shared-2 (in)"}, proposed(planning.Evaluate(fleet, vocabulary, p, noon)))
}

// TestWhatIsNotCountedIsLeftAlone, and nothing is sent to where nobody knows how full it is.
func TestWhatIsNotCountedIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := policy(t, "rules:", "  - {name: busy, any: [customers > 9, writes_per_second > 20], to: [shared-2, files]}",
		"rebalance:", "  above: 80%", "  capacities:", "    shared-2: {bytes: 2 TiB}")
	unknown, there, known := shop("unknown", "shared-1", 0), shop("there", "shared-2", 0), shop("known", "shared-1", 10)
	unknown.Counted, unknown.Writes, there.Counted = false, 30, false
	v := planning.Evaluate([]*planning.Shop{unknown, there, known}, vocabulary, p, noon)
	require.Equal(t, []string{"known -> files (busy)"}, proposed(v))
	require.Equal(t, 2, v.Uncounted)
}

// TestNothingIsProposedBetweenTwoHosts, whose files no server reaches both, and it is said.
func TestNothingIsProposedBetweenTwoHosts(t *testing.T) {
	t.Parallel()
	words := vocabulary
	rule := []string{"rules:", "  - {name: all, all: [customers > 20], from: files, to: [files-2, pg]}"}
	full := []string{"hysteresis: 25%", "rebalance:", "  above: 80%", "  capacities:", "    files: {customers: 100}", "    files-2: {customers: 900}", "    pg: {customers: 10}"}
	for name, c := range map[string]struct {
		hosts    map[string]string
		policy   []string
		proposed []string
		unplaced string
	}{
		"any host":        {nil, rule, []string{"s -> files-2 (all)"}, ""},
		"the same host":   {map[string]string{"files": "a", "files-2": "a"}, rule, []string{"s -> files-2 (all)"}, ""},
		"one of any host": {map[string]string{"files": "a"}, rule, []string{"s -> files-2 (all)"}, ""},
		"two hosts":       {map[string]string{"files": "a", "files-2": "b"}, rule, []string{"s -> pg (all)"}, ""},
		"no other place":  {map[string]string{"files": "a", "files-2": "b"}, []string{"rules:", "  - {name: all, all: [customers > 20], from: files, to: files-2}"}, nil, "the files of files are on host a, those of files-2 on host b, and no server reaches both: move the storefront to a Postgres first"},
		"relieved":        {nil, full, []string{"s -> files-2 (rebalance)"}, ""},
		"cannot be":       {map[string]string{"files": "a", "files-2": "b"}, full, nil, "files still carries 81 % of its customers, and no backend of its kind with a capacity that host a reaches can take more"},
		"relieved of any": {map[string]string{"files-2": "b"}, full, []string{"s -> files-2 (rebalance)"}, ""},
		"nowhere to go":   {map[string]string{"files": "a", "files-2": "b"}, append(slices.Clone(rule), full...), nil, "of its kind with a capacity that host a reaches"},
	} {
		words.Hosts = c.hosts
		v := planning.Evaluate([]*planning.Shop{shop("s", "files", 81)}, words, policy(t, c.policy...), noon)
		require.Equal(t, c.proposed, proposed(v), name)
		if c.unplaced == "" {
			require.Empty(t, v.Unplaced, name)
			continue
		}
		require.NotEmpty(t, v.Unplaced, name)
		require.Contains(t, v.Unplaced[len(v.Unplaced)-1].Reason, c.unplaced, name)
	}
}

// TestWhoIsLeftAloneIsCountedOnce, though a rule and the relief of its backend want it moved.
func TestWhoIsLeftAloneIsCountedOnce(t *testing.T) {
	t.Parallel()
	p := policy(t, "cool_down: 7d", "hysteresis: 25%", "rules:", "  - {name: large, all: [customers > 20], to: pg}",
		"rebalance:", "  above: 80%", "  capacities:", "    shared-1: {customers: 50}", "    shared-2: {customers: 500}")
	moving, new, small := shop("moving", "shared-1", 30), shop("new", "shared-1", 31), shop("small", "shared-1", 19)
	moving.Moving, small.Moving, new.PlacedAt = true, true, noon.Add(-time.Hour).UnixMicro()
	v := planning.Evaluate([]*planning.Shop{moving, new, small}, vocabulary, p, noon)
	require.Empty(t, v.Proposals)
	require.Equal(t, []int{1, 2}, []int{v.Cooling, v.Moving})
}

// someFleet and somePolicy are arbitrary.
func someFleet(t *rapid.T) []*planning.Shop {
	names := slices.Sorted(maps.Keys(vocabulary.Backends))
	fleet := make([]*planning.Shop, rapid.IntRange(1, 12).Draw(t, "shops"))
	for i := range fleet {
		fleet[i] = shop(fmt.Sprint(i), rapid.SampledFrom(names).Draw(t, "backend"), 0)
		someStatistics(t, fleet[i], noon)
	}
	return fleet
}

func someStatistics(t *rapid.T, s *planning.Shop, now time.Time) {
	s.Rows = rapid.Int64Range(0, 100).Draw(t, "rows")
	s.Tables["customers"] = rapid.Int64Range(0, 100).Draw(t, "customers")
	s.Writes = float64(rapid.IntRange(0, 100).Draw(t, "writes"))
	s.ActiveAt = now.Add(-time.Duration(rapid.IntRange(0, 100).Draw(t, "idle")) * time.Hour).UnixMicro()
}

func somePolicy(t *rapid.T) *planning.Policy {
	words := append(slices.Sorted(maps.Keys(vocabulary.Backends)), "sqlite", "shared-postgres", "dedicated-postgres")
	lines := []string{fmt.Sprintf("cool_down: %dh", rapid.IntRange(0, 48).Draw(t, "cool_down")), fmt.Sprintf("hysteresis: %d%%", rapid.IntRange(1, 50).Draw(t, "hysteresis")), "rules:"}
	for n := range rapid.IntRange(1, 5).Draw(t, "rules") {
		lines = append(lines, fmt.Sprintf("  - name: r%d\n    to: %s", n, rapid.SampledFrom(words).Draw(t, "to")))
		if rapid.Bool().Draw(t, "from") {
			lines = append(lines, "    from: "+rapid.SampledFrom(words).Draw(t, "source"))
		}
		lines = append(lines, fmt.Sprintf("    %s: [%s, %s]", rapid.SampledFrom([]string{"all", "any"}).Draw(t, "join"), someCondition(t), someCondition(t)))
	}
	if rapid.Bool().Draw(t, "rebalance") {
		lines = append(lines, "rebalance:\n  above: 80%\n  capacities:")
		for _, name := range []string{"shared-1", "shared-2", "files", "files-2"} {
			lines = append(lines, fmt.Sprintf("    %s: {customers: %d, storefronts: %d, writes_per_second: %d}", name, rapid.IntRange(1, 400).Draw(t, "capacity"), rapid.IntRange(1, 12).Draw(t, "places"), rapid.IntRange(1, 400).Draw(t, "writes")))
		}
	}
	p, err := planning.ParsePolicy(strings.Join(lines, "\n"), vocabulary)
	if err != nil { // a rule contradicts itself: another one
		return somePolicy(t)
	}
	return p
}

func someCondition(t *rapid.T) string {
	sign := rapid.SampledFrom([]string{"<", ">"}).Draw(t, "sign")
	if rapid.IntRange(0, 3).Draw(t, "idle?") == 0 {
		return fmt.Sprintf("idle %s %dh", sign, rapid.IntRange(1, 99).Draw(t, "hours"))
	}
	return fmt.Sprintf("%s %s %d", rapid.SampledFrom([]string{"rows", "customers", "writes_per_second"}).Draw(t, "measure"), sign, rapid.IntRange(1, 99).Draw(t, "threshold"))
}

// busiest is what is written at each backend in the busier one of two hours.
func busiest(fleet []*planning.Shop, hours map[backends.StorefrontID][2]float64) map[string]planning.Asked {
	sums, out := map[string][2]float64{}, map[string]planning.Asked{}
	for _, s := range fleet {
		sum, of := sums[s.Backend], hours[s.ID]
		sums[s.Backend] = [2]float64{sum[0] + of[0], sum[1] + of[1]}
		out[s.Backend] = planning.Asked{Writes: max(sum[0]+of[0], sum[1]+of[1])}
	}
	return out
}

// TestNothingMovesTwice: whatever the policy, as long as the statistics stay as they
// are each storefront moves at most once, and soon nothing is proposed any more.
func TestNothingMovesTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fleet, p, words := someFleet(t), somePolicy(t), vocabulary
		if rapid.Bool().Draw(t, "hosts") {
			words.Hosts = map[string]string{"files": "a", "files-2": "b"}
		}
		p.CoolDown = 0
		hours := map[backends.StorefrontID][2]float64{}
		for _, s := range fleet {
			hours[s.ID] = [2]float64{s.Writes, float64(rapid.IntRange(0, int(s.Writes)).Draw(t, "less"))}
			if rapid.Bool().Draw(t, "later") {
				hours[s.ID] = [2]float64{hours[s.ID][1], s.Writes}
			}
		}
		moved := map[backends.StorefrontID]bool{}
		for round := 0; ; round++ {
			words.Busiest = busiest(fleet, hours)
			v := planning.Evaluate(fleet, words, p, noon)
			require.Equal(t, v, planning.Evaluate(fleet, words, p, noon), "a function of its arguments")
			if len(v.Proposals) == 0 {
				return
			}
			require.LessOrEqual(t, round, len(fleet))
			for _, m := range v.Proposals {
				require.NotEqual(t, m.Source, m.Target)
				require.False(t, words.Hosts[m.Source] != "" && words.Hosts[m.Target] != "", "nor between two hosts")
				require.False(t, moved[m.Storefront], "%s moves a second time: %s -> %s (%s)", m.Slug, m.Source, m.Target, m.Rule)
				moved[m.Storefront] = true
			}
			carryOut(fleet, v, noon)
		}
	})
}

// TestAStorefrontAtTheThresholdDoesNotSwing: its size wavers within the hysteresis.
func TestAStorefrontAtTheThresholdDoesNotSwing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := policy(t, "hysteresis: 20%", "rules:", "  - {name: large, all: [customers > 1000], to: pg}", "  - {name: small, all: [customers < 1000], to: shared-postgres}")
		s := shop("s", "shared-1", 0)
		moves := 0
		for range 50 {
			s.Tables["customers"] = rapid.Int64Range(801, 1199).Draw(t, "customers")
			v := planning.Evaluate([]*planning.Shop{s}, vocabulary, p, noon)
			moves += len(v.Proposals)
			carryOut([]*planning.Shop{s}, v, noon)
		}
		require.LessOrEqual(t, moves, 1)
	})
}

// TestTheCoolDownIsKept however wildly the statistics change.
func TestTheCoolDownIsKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fleet, p := someFleet(t), somePolicy(t)
		last := map[backends.StorefrontID]time.Time{}
		for hour := range 100 {
			now := noon.Add(time.Duration(hour) * time.Hour)
			for _, s := range fleet {
				someStatistics(t, s, now)
			}
			v := planning.Evaluate(fleet, vocabulary, p, now)
			for _, m := range v.Proposals {
				if at, ok := last[m.Storefront]; ok {
					require.GreaterOrEqual(t, now.Sub(at), p.CoolDown)
				}
				last[m.Storefront] = now
			}
			carryOut(fleet, v, now)
		}
	})
}
