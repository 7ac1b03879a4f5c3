package planning_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/fault"
)

const (
	patience = time.Minute
	glance   = 20 * time.Millisecond
)

// scheduler is one instance's, whose steps the test makes.
func (w *world) scheduler(t *testing.T, name string) *planning.Scheduler {
	t.Helper()
	return planning.NewScheduler(planning.SchedulerOptions{DB: w.db, Moves: w.moves, Clock: w.clock, Name: name, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
}

// run lets moves run until the test ends.
func (w *world) run(t *testing.T) {
	t.Helper()
	w.runner.Start()
	t.Cleanup(w.runner.Stop)
}

// fleet founds storefronts shop-0, shop-1, ... with as many rows as their number says.
func (w *world) fleet(t *testing.T, count int) (moves []planning.Wanted) {
	t.Helper()
	for n := range count {
		id := w.shop(t, fmt.Sprintf("shop-%d", n))
		for row := range n {
			w.write(t, id, addCounter, fmt.Sprint(row))
		}
		moves = append(moves, planning.Wanted{Storefront: fmt.Sprintf("shop-%d", n), Target: "two"})
	}
	require.NoError(t, w.gatherer.Report(context.Background()))
	require.NoError(t, w.gatherer.Count(context.Background()))
	return moves
}

func (w *world) plan(t *testing.T, n planning.NewPlan) *planning.Plan {
	t.Helper()
	p, err := w.service.Create(context.Background(), n)
	require.NoError(t, err)
	return p
}

func (w *world) ask(t *testing.T, p *planning.Plan, action planning.PlanAction) *planning.Plan {
	t.Helper()
	p, err := w.service.Ask(context.Background(), p.ID, action, "an admin")
	require.NoError(t, err)
	return p
}

// until makes steps until the plan is as wanted. Where the control database's server has ended
// an idle connection, as on processors that are busy, it goes on at the next glance, as schedulers do.
func (w *world) until(t *testing.T, p *planning.Plan, wanted func(p *planning.Plan, moves []planning.PlanMove) bool, schedulers ...*planning.Scheduler) []planning.PlanMove {
	t.Helper()
	var moves []planning.PlanMove
	require.Eventually(t, func() bool {
		for _, s := range schedulers {
			err := s.Step(context.Background())
			if errors.Is(err, control.ErrAway) {
				return false
			}
			require.NoError(t, err)
		}
		fresh, err := w.service.Plan(context.Background(), p.ID)
		require.NoError(t, err)
		*p = *fresh
		moves, err = w.service.PlanMoves(context.Background(), p.ID, "", 0, 1000)
		require.NoError(t, err)
		return wanted(p, moves)
	}, patience, glance, "%+v %+v", p, moves)
	return moves
}

func state(wanted planning.PlanState) func(*planning.Plan, []planning.PlanMove) bool {
	return func(p *planning.Plan, _ []planning.PlanMove) bool { return p.State == wanted }
}

func moveIs(seq int, wanted planning.MoveState) func(*planning.Plan, []planning.PlanMove) bool {
	return func(_ *planning.Plan, moves []planning.PlanMove) bool { return moves[seq-1].State == wanted }
}

func waits(seq int, text string) func(*planning.Plan, []planning.PlanMove) bool {
	return func(_ *planning.Plan, moves []planning.PlanMove) bool { return moves[seq-1].Waits == text }
}

// instant is a time in microseconds, and so much later, as plans say it.
func instant(micros int64, later time.Duration) string {
	return time.UnixMicro(micros).Add(later).UTC().Format(time.RFC3339)
}

// TestAPlanIsCarriedOut by two instances, wave by wave and one move at a time.
func TestAPlanIsCarriedOut(t *testing.T) { onBoth(t, isCarriedOut) }

func isCarriedOut(t *testing.T, w *world) {
	ctx := context.Background()
	w.run(t)
	w.fleet(t, 5)
	p := w.plan(t, planning.NewPlan{
		Policy: "rules: [{name: all, any: [counters > 0, bytes < 9], to: two}]", Options: planning.PlanOptions{WaveSize: 2, PerBackend: 1, WindowSeconds: 1, Unpaced: true},
	})
	require.Equal(t, planning.Proposed, p.State)
	foretold, err := w.service.Simulate(ctx, planning.Imagine{Plan: p.ID})
	require.NoError(t, err)
	require.EqualValues(t, []int64{5, 3}, []int64{foretold.Moves, foretold.Waves})
	require.Contains(t, foretold.Assumptions[0], "no move from sqlite to sqlite has completed here yet")
	one, two := w.scheduler(t, "one"), w.scheduler(t, "two")
	require.NoError(t, one.Step(ctx))
	p = w.ask(t, p, planning.Approve)
	require.EqualValues(t, 5, p.Moves[planning.Waiting], "nothing begins before it is approved")
	require.EqualValues(t, 3, p.Waves)
	moves := w.until(t, p, state(planning.Completed), one, two)

	type span struct{ begun, verified, cutsOver, moved int64 }
	var before span
	for i, m := range moves {
		require.Equal(t, fmt.Sprintf("shop-%d", i), m.Slug, "the smallest first")
		require.Equal(t, planning.Done, m.State)
		got, err := w.moves.Get(ctx, m.Move)
		require.NoError(t, err)
		require.Equal(t, migration.Completed, got.Phase)
		require.Equal(t, "an admin", got.RequestedBy)
		require.Contains(t, got.Reason, "plan "+p.ID+": all: ")
		now := span{got.CreatedAt, got.Stats.VerifiedAt, got.Stats.PhaseStartedAt[migration.CuttingOver], got.Stats.CommittedAt}
		require.Greater(t, now.begun, before.verified, "one copies at a time")
		require.Greater(t, now.cutsOver, before.moved, "one cuts over at a time")
		before = now
		at, err := w.directory.Placement(ctx, m.Storefront)
		require.NoError(t, err)
		require.Equal(t, backends.Place{Backend: "two", Storefront: m.Storefront, Epoch: 2}, at.Place, "moved once")
	}
	require.NotNil(t, p.EndedAt)

	foretold, err = w.service.Simulate(ctx, planning.Imagine{NewPlan: planning.NewPlan{Moves: []planning.Wanted{{"shop-3", "one"}}}})
	require.NoError(t, err)
	require.Empty(t, foretold.Assumptions)
	require.Equal(t, 5, foretold.Rates[0].Measured)
	require.Equal(t, "shop-3", foretold.Next[0].Slug)
	require.EqualValues(t, 4, foretold.Backends[1].After.Storefronts)
	foretold, err = w.service.Simulate(ctx, planning.Imagine{Plan: p.ID})
	require.NoError(t, err)
	require.Zero(t, foretold.Moves, "nothing is left of it")
}

// TestAWaveWaitsForTheCanary and for its soak.
func TestAWaveWaitsForTheCanary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 3), Options: planning.PlanOptions{SoakSeconds: 7200, PerBackend: 9}, Automatic: true})
	w.hour.Store(int64(time.Since(noon).Hours())) // since when canaries were moved is told by the control database
	require.Equal(t, "moves of later waves begin when the canaries are at their targets, and were watched there for 2h0m0s", p.Waits)
	moves := w.until(t, p, moveIs(1, planning.Moved), s)
	require.NoError(t, s.Step(context.Background()))
	require.EqualValues(t, 2, p.Moves[planning.Waiting])
	require.Equal(t, "canaries are watched until "+instant(moves[0].MovedAt, 2*time.Hour)+"; moves of later waves begin then", p.Waits)
	require.Empty(t, moves[1].Waits, "the plan says it")
	foretold, err := w.service.Simulate(context.Background(), planning.Imagine{Plan: p.ID})
	require.NoError(t, err)
	require.EqualValues(t, 2, foretold.Moves)
	require.Equal(t, moves[0].MovedAt+(2*time.Hour).Microseconds(), foretold.Next[0].Begins, "a soak that is under way is foretold, too")
	w.hour.Add(4)
	moves = w.until(t, p, func(p *planning.Plan, _ []planning.PlanMove) bool { return p.Moves[planning.Moved] == 3 }, s)
	last := max(moves[1].MovedAt, moves[2].MovedAt)
	require.Equal(t, "no move is left to begin or to cut over; the plan is completed when the last rollback window has closed, at "+instant(last, 24*time.Hour), p.Waits)
	w.hour.Add(24)
	w.until(t, p, func(p *planning.Plan, _ []planning.PlanMove) bool {
		return strings.Contains(p.Waits, "the rollback windows ran out by "+instant(last, 24*time.Hour)+" and close now")
	})
}

// TestACanaryThatIsRolledBackStopsThePlan before the next wave.
func TestACanaryThatIsRolledBackStopsThePlan(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	w.hour.Store(int64(time.Since(noon).Hours()))
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 2), Options: planning.PlanOptions{SoakSeconds: 86400}, Automatic: true})
	moves := w.until(t, p, moveIs(1, planning.Moved), s)
	require.Eventually(t, func() bool {
		_, err := w.moves.Ask(ctx, moves[0].Move, migration.WantRollback)
		return err == nil // it is being watched
	}, patience, glance)
	moves = w.until(t, p, state(planning.Stopped), s)
	require.Equal(t, []string{"the move was rolled back by an operator", ""}, []string{moves[0].Cause, moves[1].Move})
}

// TestFailuresStopAPlan over its budget, and an operator lets it go on.
func TestFailuresStopAPlan(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 3), Options: planning.PlanOptions{CutoverWindow: "14:00-15:00", Canaries: new(int64(3)), PerBackend: 1}, Automatic: true})
	moves := w.until(t, p, moveIs(1, planning.Moving), s)
	_, err := w.moves.Ask(ctx, moves[0].Move, migration.WantCancel)
	require.NoError(t, err)
	moves = w.until(t, p, state(planning.Stopped), s)
	require.Equal(t, "the move was cancelled by an operator", moves[0].Cause)
	require.Equal(t, "1 move failed, and 0 may: nothing more begins or cuts over. See why (smartseller plan show "+p.ID+" --state failed), "+
		"then let the plan go on (smartseller plan resume "+p.ID+") or cancel it.", p.Cause)
	require.NoError(t, s.Step(ctx))
	w.until(t, p, state(planning.Stopped))
	require.EqualValues(t, 2, p.Moves[planning.Waiting])
	_, err = w.service.Ask(ctx, p.ID, planning.Pause, "")
	require.Equal(t, fault.Conflict, fault.Of(err).Kind)

	w.ask(t, p, planning.Resume)
	moves = w.until(t, p, waits(2, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	w.ask(t, p, planning.Pause)
	w.until(t, p, waits(2, ""))
	require.Equal(t, "nothing more begins or cuts over until the plan is let go on: smartseller plan resume "+p.ID, p.Waits)
	w.hour.Store(2)
	require.NoError(t, s.Step(ctx))
	got, err := w.moves.Get(ctx, moves[1].Move)
	require.NoError(t, err)
	require.Equal(t, migration.NoIntent, got.Intent, "nothing cuts over while it is paused")
	w.ask(t, p, planning.Resume)
	w.until(t, p, moveIs(2, planning.Moved), s)
	w.hour.Store(4)
	moves = w.until(t, p, waits(3, "cuts over at 2026-03-02T14:00:00Z: the window 14:00-15:00 UTC"), s)
	_, err = w.moves.Ask(ctx, moves[2].Move, migration.WantCancel)
	require.NoError(t, err)
	w.until(t, p, state(planning.Stopped), s)
	require.Contains(t, p.Cause, "1 move failed since the plan was let go on, and 0 may: ")
}

// TestCancelUndoesWhatHasNotCutOver and lets be what has.
func TestCancelUndoesWhatHasNotCutOver(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	wanted := w.fleet(t, 3)
	p := w.plan(t, planning.NewPlan{Moves: wanted, Options: planning.PlanOptions{PerBackend: 1}, Automatic: true})
	w.until(t, p, moveIs(1, planning.Moved), s)
	moves := w.until(t, p, moveIs(2, planning.Moving))
	_, err := w.moves.Ask(ctx, moves[1].Move, migration.WantPause) // it would cut over
	require.NoError(t, err)
	_, err = w.service.Create(ctx, planning.NewPlan{Moves: wanted[2:]})
	require.Equal(t, "/moves/0/storefront", fault.Of(err).Fields[0].Pointer, "it is in a plan already")
	w.ask(t, p, planning.Cancel)
	moves = w.until(t, p, state(planning.Cancelled), s)
	require.Equal(t, []planning.MoveState{planning.Moved, planning.Skipped, planning.Skipped}, []planning.MoveState{moves[0].State, moves[1].State, moves[2].State})
	at, err := w.directory.Placement(ctx, moves[1].Storefront)
	require.NoError(t, err)
	require.Equal(t, "one", at.Place.Backend)
	_, err = w.service.Ask(ctx, p.ID, planning.Resume, "")
	require.Equal(t, fault.Conflict, fault.Of(err).Kind)
}

// TestAnEndedPlanFollowsItsMoves, which were watched when it was cancelled.
func TestAnEndedPlanFollowsItsMoves(t *testing.T) { onBoth(t, followsItsMoves) }

func followsItsMoves(t *testing.T, w *world) {
	ctx := context.Background()
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 3), Options: planning.PlanOptions{AtOnce: true, Canaries: new(int64(3)), PerBackend: 9}, Automatic: true})
	w.until(t, p, func(p *planning.Plan, _ []planning.PlanMove) bool { return p.Moves[planning.Moved] == 3 }, s)
	w.ask(t, p, planning.Cancel)
	moves := w.until(t, p, state(planning.Cancelled), s)
	ended := *p.EndedAt
	for n, want := range []migration.Intent{migration.WantFinalize, migration.WantRollback} {
		require.Eventually(t, func() bool {
			_, err := w.moves.Ask(ctx, moves[n].Move, want)
			return err == nil // it is being watched
		}, patience, glance)
	}
	w.until(t, p, moveIs(1, planning.Done), s)
	moves = w.until(t, p, moveIs(2, planning.Failed), s)
	require.Equal(t, "the move was rolled back by an operator", moves[1].Cause)
	require.Equal(t, planning.Moved, moves[2].State, "it is being watched")
	require.Equal(t, planning.Cancelled, p.State)
	require.Equal(t, ended, *p.EndedAt)
}

// TestWithoutTheLeaseNothingBegins: of two instances one acts, and one that was stopped
// until another took over does nothing any more.
func TestWithoutTheLeaseNothingBegins(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	one, two := w.scheduler(t, "one"), w.scheduler(t, "two")
	moves := w.fleet(t, 2)
	w.ask(t, w.plan(t, planning.NewPlan{Moves: moves[:1]}), planning.Cancel)
	require.NoError(t, one.Step(ctx)) // there is something to do: it takes the lease
	p := w.plan(t, planning.NewPlan{Moves: moves[1:], Automatic: true})
	require.NoError(t, two.Step(ctx))
	p, err := w.service.Plan(ctx, p.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, p.Moves[planning.Waiting])
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE leases SET until = 0 WHERE name = 'plans'`) // it has run out
		return err
	}))
	require.NoError(t, two.Step(ctx))
	require.NoError(t, one.Step(ctx))
	require.NoError(t, two.Step(ctx))
	p, err = w.service.Plan(ctx, p.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, p.Moves[planning.Moving])
	begun, err := w.moves.List(ctx, "", "", 10)
	require.NoError(t, err)
	require.Len(t, begun, 1, "begun once")
}

func TestWhatCannotBePlannedIsNamed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.fleet(t, 1)
	_, err := w.service.Create(ctx, planning.NewPlan{Moves: []planning.Wanted{{"shop-0", "two"}, {"nobody", "two"}, {"shop-0", "two"}}})
	require.Len(t, fault.Of(err).Fields, 2)
	for want, n := range map[string]planning.NewPlan{
		"/moves/0/target":         {Moves: []planning.Wanted{{"shop-0", "one"}}},
		"/policy":                 {},
		"/options/soak_seconds":   {Moves: []planning.Wanted{{"shop-0", "two"}}, Options: planning.PlanOptions{Canaries: new(int64(0)), SoakSeconds: 9}},
		"/options/cutover_window": {Moves: []planning.Wanted{{"shop-0", "two"}}, Options: planning.PlanOptions{CutoverWindow: "2-5"}},
	} {
		_, err := w.service.Create(ctx, n)
		require.Equal(t, want, fault.Of(err).Fields[0].Pointer)
	}
	_, err = w.service.Create(ctx, planning.NewPlan{Policy: "rules: [{name: none, all: [counters > 9], to: two}]"})
	require.ErrorIs(t, err, planning.ErrNothingToDo)
	_, err = w.service.Plan(ctx, "nothing")
	require.ErrorIs(t, err, planning.ErrNoPlan)
	plans, err := w.service.Plans(ctx, "", 10)
	require.NoError(t, err)
	require.Empty(t, plans, "nothing was kept")
}

// TestWhatMadeWayHasItsTurnAgain: a newer program ended the move, which is no failure.
func TestWhatMadeWayHasItsTurnAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 1), Options: planning.PlanOptions{CutoverWindow: "14:00-15:00"}, Automatic: true})
	first := w.until(t, p, func(_ *planning.Plan, moves []planning.PlanMove) bool { return moves[0].Waits != "" }, s)[0].Move

	w.options.TenantMigrations++
	newer := migration.NewRunner(w.options)
	newer.Start()
	t.Cleanup(newer.Stop)
	require.Eventually(t, func() bool {
		m, err := w.moves.Get(ctx, first)
		require.NoError(t, err)
		return m.Phase == migration.Failed
	}, patience, glance)
	w.runner.Stop()
	w.hour.Store(2)
	moves := w.until(t, p, moveIs(1, planning.Moved), s)
	require.NotEqual(t, first, moves[0].Move)
	require.Zero(t, p.Moves[planning.Failed])
}
