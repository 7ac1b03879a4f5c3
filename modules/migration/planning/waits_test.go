package planning_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
)

// TestMovesSayWhatTheyWaitFor: for a place, for an earlier wave, for whoever paused them, for
// another move; what is over by then is not said any more.
func TestMovesSayWhatTheyWaitFor(t *testing.T) { onBoth(t, sayWhatTheyWaitFor) }

func sayWhatTheyWaitFor(t *testing.T, w *world) {
	const noPlace = "begins when others are copied: as many as may at a time copy from or to its backends"
	ctx := context.Background()
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 4), Options: planning.PlanOptions{Canaries: new(int64(3)), PerBackend: 1, CutoverWindow: "14:00-15:00"}})
	require.Equal(t, "begins when it is approved: smartseller plan approve "+p.ID, p.Waits)
	p = w.ask(t, p, planning.Approve)
	moves := w.until(t, p, waits(2, noPlace), s)
	require.Equal(t, planning.Moving, moves[0].State)
	require.Empty(t, moves[3].Waits, "the plan says it")
	require.Equal(t, "moves of later waves begin when all of the wave that is under way are at their targets", p.Waits)

	for _, one := range []planning.PlanMove{moves[0], moves[2]} { // one of the plan, one of an operator's
		if one.Move == "" {
			m, err := w.moves.Start(ctx, migration.Request{Storefront: one.Storefront, Target: "two"})
			require.NoError(t, err)
			one.Move = m.ID
			w.until(t, p, waits(3, "begins when another move of its storefront has ended: "+m.ID), s)
		}
		_, err := w.moves.Ask(ctx, one.Move, migration.WantPause)
		require.NoError(t, err)
	}
	w.run(t)
	w.until(t, p, waits(1, "was paused by an operator; goes on with: smartseller move resume "+moves[0].Move), s)
	_, err := w.moves.Ask(ctx, moves[0].Move, migration.WantResume)
	require.NoError(t, err)
	w.until(t, p, waits(1, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	_, err = w.moves.Ask(ctx, moves[0].Move, migration.WantPause)
	require.NoError(t, err)
	w.until(t, p, waits(1, "was paused by an operator; goes on with: smartseller move resume "+moves[0].Move), s)
	w.ask(t, p, planning.Cancel)
	moves = w.until(t, p, state(planning.Cancelled), s)
	for _, m := range moves {
		require.Empty(t, m.Waits)
	}
	require.Empty(t, p.Waits)
}
