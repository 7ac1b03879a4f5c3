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
	foretold, err := w.service.Simulate(context.Background(), planning.Imagine{Plan: p.ID})
	require.NoError(t, err)
	require.EqualValues(t, 2, foretold.Moves)
	require.Greater(t, foretold.Next[0].Begins, foretold.Begins+time.Hour.Microseconds())
	for range 2 { // at once, and an hour later
		w.until(t, p, state(planning.Running), s)
		require.EqualValues(t, 2, p.Moves[planning.Waiting])
		w.hour.Add(1)
	}
	w.hour.Add(2)
	w.until(t, p, func(p *planning.Plan, _ []planning.PlanMove) bool { return p.Moves[planning.Moved] == 2 }, s)
}

// TestAPlanWithoutCanaries begins with its first wave, and one that says nothing of them has one.
func TestAPlanWithoutCanaries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	wanted := w.fleet(t, 3)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: wanted[:2]})
	require.EqualValues(t, []int64{0, 2}, []int64{p.Wave, p.Waves})
	w.until(t, w.ask(t, p, planning.Cancel), state(planning.Cancelled), s)
	p = w.plan(t, planning.NewPlan{Moves: wanted, Options: planning.PlanOptions{Canaries: new(int64(0)), PerBackend: 9}, Automatic: true})
	require.EqualValues(t, []int64{0, 0, 1}, []int64{*p.Options.Canaries, p.Wave, p.Waves})
	w.until(t, p, func(p *planning.Plan, _ []planning.PlanMove) bool { return p.Moves[planning.Moving] == 3 }, s)
}
