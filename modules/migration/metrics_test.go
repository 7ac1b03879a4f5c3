package migration

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// ended is how many moves have ended so, by the instance's own count.
func (i *instance) ended(t *testing.T, outcome Phase) float64 {
	t.Helper()
	all := prometheus.NewRegistry()
	require.NoError(t, all.Register(i.runner.Metrics()))
	families, err := all.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "smartseller_moves_ended_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == string(outcome) {
				return m.GetCounter().GetValue()
			}
		}
	}
	require.FailNow(t, "nothing counts such ends", outcome)
	return 0
}

// TestEveryEndIsCounted, whatever it is.
func TestEveryEndIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	for outcome, end := range map[Phase]func(m *Move){
		Completed:  func(m *Move) { i.waitFor(t, m.ID, Watching); ask(t, i, m.ID, WantFinalize) },
		RolledBack: func(m *Move) { i.waitFor(t, m.ID, Watching); ask(t, i, m.ID, WantRollback) },
		Cancelled:  func(m *Move) { ask(t, i, m.ID, WantCancel) },
		Failed:     nil,
		Rehearsed:  nil,
	} {
		id := i.storefront(t, 20)
		options := Options{}
		switch outcome {
		case Cancelled:
			options.ManualCutover = true
		case Rehearsed:
			options.Mode = Rehearsal
		case Failed:
			w.execute(t, id, `ALTER TABLE counters ADD COLUMN surprise INTEGER`)
		}
		m := start(t, i, id, options)
		if end != nil {
			end(m)
		}
		i.waitFor(t, m.ID, outcome)
		require.Eventually(t, func() bool { return i.ended(t, outcome) == 1 }, waitLong, waitStep, outcome)
	}
}
