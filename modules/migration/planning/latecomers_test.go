package planning_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
)

// TestALatecomerHoldsUpNoWave that is under way: a canary whose seller minded until then stands
// by until the next night, and the others go on.
func TestALatecomerHoldsUpNoWave(t *testing.T) { onBoth(t, aLatecomerHoldsUpNoWave) }

func aLatecomerHoldsUpNoWave(t *testing.T, w *world) {
	ctx := context.Background()
	w.run(t)
	s := w.scheduler(t, "one")
	wanted := w.fleet(t, 6)
	bar := func(statement string, args ...any) {
		require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(statement, args...)
			return err
		}))
	}
	bar(`INSERT INTO blackouts (id, storefront_id, begins_at, ends_at, reason) VALUES ($1, $1, $2, $3, 'sale')`,
		string(w.idOf(t, "shop-0")), noon.UnixMicro(), noon.Add(100*time.Hour).UnixMicro())
	p := w.plan(t, planning.NewPlan{Moves: wanted, Automatic: true, Options: planning.PlanOptions{
		Canaries: new(int64(2)), WaveSize: 3, PerBackend: 1, CutoverWindow: "14:00-15:00", AtOnce: true,
	}})
	w.until(t, p, waits(2, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	w.hour.Store(2)
	moves := w.until(t, p, moveIs(2, planning.Moved), s) // in that step one move of the next wave began
	require.Equal(t, []planning.MoveState{planning.Waiting, planning.Moving, planning.Waiting, planning.Waiting},
		[]planning.MoveState{moves[0].State, moves[2].State, moves[3].State, moves[4].State})
	w.hour.Store(4)
	bar(`DELETE FROM blackouts`)
	foretold, err := w.service.Simulate(ctx, planning.Imagine{Plan: p.ID})
	require.NoError(t, err)
	begins := map[string]int64{}
	for _, turn := range foretold.Next {
		begins[turn.Slug] = turn.Begins
	}
	require.Less(t, begins["shop-3"]-foretold.Begins, time.Hour.Microseconds(), "%v", begins)

	moves = w.until(t, p, moveIs(5, planning.Moving), s)
	require.Equal(t, []planning.MoveState{planning.Moving, planning.Moving, planning.Waiting}, []planning.MoveState{moves[0].State, moves[3].State, moves[5].State})
	require.EqualValues(t, 1, p.Wave)
	w.hour.Store(26)
	w.until(t, p, moveIs(6, planning.Moving), s)
}
