package planning

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration"
)

// TestWhereAPlanStands: what may begin, and for how long canaries are watched.
func TestWhereAPlanStands(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	soaked := at.Add(time.Hour)
	for name, c := range map[string]struct {
		canaries int64
		progress progress
		want     standing
	}{
		"canaries are under way":                       {1, progress{}, standing{}},
		"canaries are at their targets":                {1, progress{open: 1, proved: true, canaries: at}, standing{1, soaked}},
		"all canaries have failed":                     {1, progress{open: 1, canaries: at}, standing{1, soaked}},
		"a canary's seller had minded, in the soak":    {2, progress{proved: true, canaries: at}, standing{}},
		"a canary's seller had minded, in a wave":      {2, progress{begun: 5, proved: true, canaries: at}, standing{wave: 5}},
		"the next wave, behind such a canary":          {2, progress{open: 6, begun: 5, proved: true, canaries: at}, standing{wave: 6}},
		"a seller of the first of waves had minded":    {0, progress{begun: 5}, standing{wave: 5}},
		"all was in vain, and canaries prove it again": {1, progress{begun: 1, canaries: at}, standing{}},
	} {
		options := PlanOptions{Canaries: &c.canaries, SoakSeconds: 3600}
		if c.canaries == 0 {
			options.SoakSeconds = 0
		}
		require.Equal(t, c.want, options.standing(c.progress), name)
	}
}

// TestALatecomerIsForetold as the scheduler does it: beside the wave that is under way; the
// next one waits for it, but for no soak.
func TestALatecomerIsForetold(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, c := range map[string]struct {
		waves  []int64 // of moves that copy for ten seconds, one after another, and compare for five; the first one's seller minds
		begun  int64
		proved bool
		until  time.Duration
		begins []time.Duration
	}{
		// Two canaries, an hour's soak; the first of the next wave is under way when the bar ends.
		"of a plan that begins": {[]int64{0, 0, 1, 1, 2}, 0, false, 3620 * second, []time.Duration{3625 * second, 0, 3615 * second, 3635 * second, 3650 * second}},
		"of one under way":      {[]int64{0, 5, 5, 6}, 5, true, 0, []time.Duration{0, 10 * second, 20 * second, 35 * second}},
	} {
		in := someMoves(c.waves...)
		in.options.PerBackend, in.options.Canaries, in.options.SoakSeconds = 1, new(int64(2)), 3600
		in.done = progress{begun: c.begun, proved: c.proved}
		if c.proved {
			in.done.canaries = in.from
		}
		in.blackouts = map[backends.StorefrontID]migration.Blackouts{"0": {{From: in.from, Until: in.from.Add(c.until)}}}
		foretold(t, in)
		var begins []time.Duration
		for _, m := range in.moves {
			begins = append(begins, m.begun.Sub(in.from))
		}
		require.Equal(t, c.begins, begins, name)
	}
}
