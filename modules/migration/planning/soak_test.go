package planning_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control/controltest"
)

// TestASoakFollowsACanaryThatFailed, where the plan goes on all the same: somebody is to
// see why before the next wave begins.
func TestASoakFollowsACanaryThatFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 3), Options: planning.PlanOptions{SoakSeconds: 7200, FailureBudget: 1, PerBackend: 9}, Automatic: true})
	w.hour.Store(int64(time.Since(noon).Hours())) // when canaries failed is told by the control database
	moves := w.until(t, p, moveIs(1, planning.Moving), s)
	_, err := w.moves.Ask(context.Background(), moves[0].Move, migration.WantCancel)
	require.NoError(t, err)
	w.run(t) // not before: it would have moved
	w.until(t, p, moveIs(1, planning.Failed), s)
	for range 2 { // at once, and an hour later
		w.until(t, p, state(planning.Running), s)
		require.EqualValues(t, 2, p.Moves[planning.Waiting])
		w.hour.Add(1)
	}
	w.hour.Add(2)
	w.until(t, p, func(p *planning.Plan, _ []planning.PlanMove) bool { return p.Moves[planning.Moved] == 2 }, s)
}
