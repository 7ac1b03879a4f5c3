package planning_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/modules/migration/seller"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
)

// TestCanariesAreReplaced: no later wave begins before one has come to its target, whatever
// the budget forgives and whoever wants no move now.
func TestCanariesAreReplaced(t *testing.T) { onBoth(t, canariesAreReplaced) }

func canariesAreReplaced(t *testing.T, w *world) {
	ctx := context.Background()
	s := w.scheduler(t, "one")
	wanted := w.fleet(t, 5)
	_, err := seller.NewService(w.db, w.moves, w.service).Ask(ctx, w.idOf(t, "shop-1"), seller.NotNow{From: noon, Until: time.Now().Add(80 * 24 * time.Hour)})
	require.NoError(t, err)
	p := w.plan(t, planning.NewPlan{Moves: wanted, Options: planning.PlanOptions{FailureBudget: 2, PerBackend: 9, AtOnce: true}, Automatic: true})
	waves := func(moves []planning.PlanMove) (out []int64) {
		for _, m := range moves {
			out = append(out, m.Wave)
		}
		return out
	}
	moves := w.until(t, p, moveIs(1, planning.Moving), s)
	require.Equal(t, []int64{0, 1, 1, 1, 1}, waves(moves))
	_, err = w.moves.Ask(ctx, moves[0].Move, migration.WantCancel)
	require.NoError(t, err)
	w.runner.Start()
	moves = w.until(t, p, moveIs(3, planning.Moving), s)
	require.Equal(t, []int64{0, 1, 0, 1, 1}, waves(moves), "the next one whose seller does not mind")
	foretold, err := w.service.Simulate(ctx, planning.Imagine{Plan: p.ID})
	require.NoError(t, err)
	require.GreaterOrEqual(t, foretold.Moves, int64(3))
	require.Len(t, foretold.Next, int(foretold.Moves), "all of them have their turn")
	require.Equal(t, []planning.MoveState{planning.Failed, planning.Waiting, planning.Waiting}, []planning.MoveState{moves[0].State, moves[1].State, moves[3].State})
	moves = w.until(t, p, moveIs(5, planning.Moved), s)
	w.runner.Stop()
	require.Equal(t, planning.Waiting, moves[1].State)
	require.Greater(t, moves[4].MovedAt, moves[2].MovedAt)
}

// TestAPlanThatNoCanarySurvivesStops by its budget.
func TestAPlanThatNoCanarySurvivesStops(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 4), Options: planning.PlanOptions{FailureBudget: 1, CutoverWindow: "14:00-15:00"}, Automatic: true})
	for n := 1; n <= 2; n++ {
		moves := w.until(t, p, moveIs(n, planning.Moving), s)
		_, err := w.moves.Ask(ctx, moves[n-1].Move, migration.WantCancel)
		require.NoError(t, err)
	}
	moves := w.until(t, p, state(planning.Stopped), s)
	require.Equal(t, []planning.MoveState{planning.Failed, planning.Failed, planning.Waiting, planning.Waiting},
		[]planning.MoveState{moves[0].State, moves[1].State, moves[2].State, moves[3].State})
}

// TestOneFailureIsJudgedBeforeMoreBegins: a target that went away fails the first move.
func TestOneFailureIsJudgedBeforeMoreBegins(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 3), Options: planning.PlanOptions{Canaries: new(int64(0)), PerBackend: 9}, Automatic: true})
	require.ErrorContains(t, w.directory.Remove(ctx, "two", false), "where a plan moves some (3 in all)")
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE plan_moves SET target = 'gone' WHERE seq = 1`)
		return err
	}))
	foretold, err := w.service.Simulate(ctx, planning.Imagine{Plan: p.ID})
	require.NoError(t, err)
	require.EqualValues(t, 2, foretold.Moves)
	require.Contains(t, foretold.Notes, "1 moves go to backends that are not registered any more, and are left out")
	moves := w.until(t, p, state(planning.Stopped), s)
	require.Equal(t, []planning.MoveState{planning.Failed, planning.Waiting, planning.Waiting}, []planning.MoveState{moves[0].State, moves[1].State, moves[2].State})
}

// TestAPauseForgivesNothing: failures are counted anew only once a plan has stopped for them.
func TestAPauseForgivesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 3), Options: planning.PlanOptions{FailureBudget: 1, Canaries: new(int64(0)), PerBackend: 9, CutoverWindow: "14:00-15:00"}, Automatic: true})
	for n := 1; n <= 2; n++ {
		moves := w.until(t, p, moveIs(n, planning.Moving), s)
		_, err := w.moves.Ask(ctx, moves[n-1].Move, migration.WantCancel)
		require.NoError(t, err)
		if n == 1 {
			w.until(t, p, moveIs(1, planning.Failed), s)
			w.ask(t, p, planning.Pause)
			w.ask(t, p, planning.Resume)
		}
	}
	w.until(t, p, state(planning.Stopped), s)
	require.Contains(t, p.Cause, "2 moves failed, and 1 may")
}

// TestWhatMovedSinceIsLeftAlone: a plan was made for where a storefront was.
func TestWhatMovedSinceIsLeftAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	require.NoError(t, w.directory.Register(ctx, backends.Config{Name: "three", Kind: backends.SQLite, Path: t.TempDir()}))
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 1)})
	m, err := w.moves.Start(ctx, migration.Request{Storefront: w.idOf(t, "shop-0"), Target: "three"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := w.moves.Ask(ctx, m.ID, migration.WantFinalize)
		return err == nil // it is being watched
	}, patience, glance)
	w.ask(t, p, planning.Approve)
	moves := w.until(t, p, state(planning.Completed), s)
	require.Equal(t, planning.Skipped, moves[0].State)
	require.Equal(t, "The storefront was moved from where it was when the plan was made.", moves[0].Cause)
}

// TestNoWaveWaitsForAnOperatorsWindow: a storefront that was moved beside the plan is left out at
// once, while that move may still be rolled back; one that comes back has its turn.
func TestNoWaveWaitsForAnOperatorsWindow(t *testing.T) { onBoth(t, noWaveWaitsForAWindow) }

func noWaveWaitsForAWindow(t *testing.T, w *world) {
	ctx := context.Background()
	require.NoError(t, w.directory.Register(ctx, backends.Config{Name: "three", Kind: backends.SQLite, Path: t.TempDir()}))
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 4), Options: planning.PlanOptions{PerBackend: 9, AtOnce: true}})
	watched := func(slug, target string, o migration.Options) (id string) {
		m, err := w.moves.Start(ctx, migration.Request{Storefront: w.idOf(t, slug), Target: target, Options: o})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			now, err := w.moves.Get(ctx, m.ID)
			require.NoError(t, err)
			return now.Phase == migration.Watching
		}, patience, glance)
		return m.ID
	}
	watched("shop-0", "three", migration.Options{WindowSeconds: 2592000})
	drill := watched("shop-1", "three", migration.Options{Mode: migration.Drill, DrillSeconds: 604800})
	watched("shop-3", "two", migration.Options{})
	require.NoError(t, s.Step(ctx))
	w.until(t, p, func(p *planning.Plan, _ []planning.PlanMove) bool { return p.Moves[planning.Waiting] == 4 })
	w.ask(t, p, planning.Approve)
	require.NoError(t, s.Step(ctx))
	moves := w.until(t, p, waits(2, "begins when another move of its storefront has ended: "+drill))
	require.Equal(t, []planning.MoveState{planning.Skipped, planning.Waiting, planning.Waiting, planning.Skipped},
		[]planning.MoveState{moves[0].State, moves[1].State, moves[2].State, moves[3].State})
	require.Equal(t, []string{"The storefront was moved from where it was when the plan was made.", "The storefront already lives on that backend: nothing to move."},
		[]string{moves[0].Cause, moves[3].Cause})
	require.EqualValues(t, []int64{0, 0, 1}, []int64{moves[0].Wave, moves[1].Wave, moves[2].Wave}, "another one is the canary")
	_, err := w.moves.Ask(ctx, drill, migration.WantRollback)
	require.NoError(t, err)
	moves = w.until(t, p, moveIs(3, planning.Moved), s)
	require.Equal(t, planning.Moved, moves[1].State)
}

// TestASellersLaterNotNowHolds what a plan has let cut over and what waits for its window, also
// while the mover rests; and explain says what it waits for.
func TestASellersLaterNotNowHolds(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	var hour, drained atomic.Int64 // of the mover's clock, by which its window is closed
	w.options.Clock = func() time.Time { return noon.Add(time.Duration(hour.Load()) * time.Hour) }
	w.options.Hook = func(_ context.Context, point string) error {
		if point == "K5" {
			drained.Add(1)
		}
		return nil
	}
	w.mover()
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 1), Options: planning.PlanOptions{CutoverWindow: "14:00-15:00", AtOnce: true}, Automatic: true})
	w.until(t, p, waits(1, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	explained := func() (waits []migration.Wait) {
		moves := w.until(t, p, moveIs(1, planning.Moving))
		e, err := w.moves.Explain(ctx, moves[0].Move)
		require.NoError(t, err)
		for _, one := range e.Waits {
			require.NotEqual(t, "operator", one.For)
			if one.For == "plan" {
				waits = append(waits, one)
			}
		}
		return waits
	}
	require.Equal(t, "verified; cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC", explained()[0].Detail)
	intent := func() migration.Intent {
		moves := w.until(t, p, moveIs(1, planning.Moving))
		m, err := w.moves.Get(ctx, moves[0].Move)
		require.NoError(t, err)
		return m.Intent
	}
	w.hour.Store(2)
	w.until(t, p, func(*planning.Plan, []planning.PlanMove) bool { return intent() == migration.WantCutover }, s)
	until := time.Now().Add(24 * time.Hour).Truncate(time.Second)
	wishes := seller.NewService(w.db, w.moves, w.service)
	wish, err := wishes.Ask(ctx, w.idOf(t, "shop-0"), seller.NotNow{From: noon, Until: until.Add(7 * time.Nanosecond)})
	require.NoError(t, err)
	kept, err := wishes.NotNows(ctx, w.idOf(t, "shop-0"))
	require.NoError(t, err)
	require.Equal(t, []seller.NotNow{wish}, kept)
	require.Equal(t, until.UTC(), wish.Until)
	require.Equal(t, migration.NoIntent, intent())
	require.NoError(t, s.Step(ctx))
	require.Equal(t, migration.NoIntent, intent(), "and is not let again")
	require.Contains(t, explained()[0].Detail, "verified; cuts over at ")

	hour.Store(2)
	for n := range 2 { // it goes on, behind what it sees of its window
		seen := drained.Load()
		w.write(t, w.idOf(t, "shop-0"), addCounter, fmt.Sprint("late-", n))
		require.Eventually(t, func() bool { return drained.Load() > seen }, patience, glance)
	}
	require.Equal(t, migration.NoIntent, intent())
	// Nor does an operator's word hold that is older than the wish, also while the plan is paused.
	w.ask(t, p, planning.Pause)
	hour.Store(0)
	_, err = w.moves.Ask(ctx, w.until(t, p, moveIs(1, planning.Moving))[0].Move, migration.WantCutover)
	require.NoError(t, err)
	require.Equal(t, migration.WantCutover, intent())
	again, err := wishes.Ask(ctx, w.idOf(t, "shop-0"), seller.NotNow{From: noon, Until: until})
	require.NoError(t, err)
	require.Equal(t, migration.NoIntent, intent())
	w.ask(t, p, planning.Resume)
	hour.Store(2)
	for _, one := range []seller.NotNow{wish, again} {
		require.NoError(t, wishes.Withdraw(ctx, w.idOf(t, "shop-0"), one.ID))
	}
	w.until(t, p, moveIs(1, planning.Moved), s)
}

// TestNoWaveBeginsWhileTheCanaryStandsBy for its seller: another one is the canary.
func TestNoWaveBeginsWhileTheCanaryStandsBy(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 3), Options: planning.PlanOptions{CutoverWindow: "14:00-15:00", AtOnce: true, PerBackend: 9}, Automatic: true})
	w.until(t, p, waits(1, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	_, err := seller.NewService(w.db, w.moves, w.service).Ask(ctx, w.idOf(t, "shop-0"), seller.NotNow{From: noon, Until: time.Now().Add(24 * time.Hour)})
	require.NoError(t, err)
	moves := w.until(t, p, waits(2, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	require.Equal(t, []int64{0, 0, 1}, []int64{moves[0].Wave, moves[1].Wave, moves[2].Wave})
	require.Equal(t, planning.Waiting, moves[2].State)
	w.hour.Store(2)
	w.until(t, p, moveIs(3, planning.Moved), s)
}
