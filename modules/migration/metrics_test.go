package migration

import (
	"testing"

	"github.com/stretchr/testify/require"
)

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
		require.Eventually(t, func() bool { return counted(t, i, "smartseller_moves_ended_total", string(outcome)) == 1 }, waitLong, waitStep, outcome)
	}
}
