package planning_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/modules/storefronts"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/ids"
)

// TestCutoversHeedWindowAndBlackout: what waits says for what, and a seller's "not now"
// holds up nobody else.
func TestCutoversHeedWindowAndBlackout(t *testing.T) { onBoth(t, cutoversHeedWindowAndBlackout) }

func cutoversHeedWindowAndBlackout(t *testing.T, w *world) {
	ctx := context.Background()
	w.run(t)
	s := w.scheduler(t, "one")
	wanted := w.fleet(t, 3)
	blackout := func(slug string, from, until time.Time) {
		require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(`INSERT INTO blackouts (id, storefront_id, begins_at, ends_at, reason) SELECT $4, id, $2, $3, 'sale' FROM storefronts WHERE slug = $1`,
				slug, from.UnixMicro(), until.UnixMicro(), ids.New())
			return err
		}))
	}
	for _, hours := range [][2]int{{-1, 20}, {-1, 3}, {20, 30}, {1000, 1001}} { // as one from an hour ago until in 30, for now
		blackout("shop-0", noon.Add(time.Duration(hours[0])*time.Hour), noon.Add(time.Duration(hours[1])*time.Hour))
	}
	p := w.plan(t, planning.NewPlan{Moves: wanted, Options: planning.PlanOptions{CutoverWindow: "14:00-15:00", AtOnce: true, Canaries: new(int64(0)), WaveSize: 1}, Automatic: true})
	w.until(t, p, waits(1, `the seller asked for no move until 2026-03-02T18:00:00Z: "sale"`), s)
	w.until(t, p, waits(2, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	blackout("shop-1", noon.Add(time.Hour), noon.Add(3*time.Hour)) // while it is under way
	blackout("shop-1", noon.Add(1000*time.Hour), noon.Add(1001*time.Hour))
	w.until(t, p, waits(2, "cuts over at 2026-03-02T14:00:00Z: the window 14:00-15:00 UTC"), s)
	w.hour.Store(2)
	w.until(t, p, moveIs(3, planning.Moved), s)
	require.NoError(t, s.Step(ctx))
	moves := w.until(t, p, waits(2, "cuts over at 2026-03-02T14:00:00Z: the window 14:00-15:00 UTC"))
	held, err := w.moves.Get(ctx, moves[1].Move)
	require.NoError(t, err)
	require.Equal(t, migration.NoIntent, held.Intent, "it is not let cut over against its seller's wish")
	w.hour.Store(26)
	w.until(t, p, moveIs(2, planning.Moved), s)
	require.EqualValues(t, 1, p.Moves[planning.Waiting])
	require.Empty(t, p.Waits, "the one that is left waits for its seller")
	w.hour.Store(30)
	w.until(t, p, moveIs(1, planning.Moving), s)
	w.until(t, p, waits(1, "cuts over at 2026-03-03T14:00:00Z: the window 14:00-15:00 UTC"), s)
	w.hour.Store(50)
	w.until(t, p, moveIs(1, planning.Moved), s)
}

// TestCutoversGoByTheClocksOfEachStorefront: the night comes to Tokyo before it does to Berlin.
func TestCutoversGoByTheClocksOfEachStorefront(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	var moves []planning.Wanted
	for slug, zone := range map[string]string{"tokyo": "Asia/Tokyo", "berlin": "Europe/Berlin"} {
		w.shopOf(t, storefronts.NewStorefront{Slug: slug, TimeZone: zone, Backend: "one"})
		moves = append(moves, planning.Wanted{Storefront: slug, Target: "two"})
	}
	p := w.plan(t, planning.NewPlan{Moves: moves, Options: planning.PlanOptions{CutoverWindow: "02:00-03:00", AtOnce: true, Canaries: new(int64(0))}, Automatic: true})
	found, err := w.service.PlanMoves(t.Context(), p.ID, "", 0, 2)
	require.NoError(t, err)
	turn := map[string]int{}
	for _, m := range found {
		turn[m.Slug] = int(m.Seq)
	}
	w.until(t, p, waits(turn["tokyo"], "cuts over at 2026-03-01T17:00:00Z: the window 02:00-03:00 Asia/Tokyo"), s)
	w.until(t, p, waits(turn["berlin"], "cuts over at 2026-03-02T01:00:00Z: the window 02:00-03:00 Europe/Berlin"), s)
	w.hour.Store(5)
	w.until(t, p, moveIs(turn["tokyo"], planning.Moved), s)
	w.until(t, p, waits(turn["berlin"], "cuts over at 2026-03-02T01:00:00Z: the window 02:00-03:00 Europe/Berlin"), s)
	w.hour.Store(13)
	w.until(t, p, moveIs(turn["berlin"], planning.Moved), s)
}

// gate holds up whoever comes to it until it opens.
type gate struct{ reached, open chan struct{} }

func newGate() gate { return gate{make(chan struct{}, 100), make(chan struct{})} }

func (g gate) pass(ctx context.Context) error {
	g.reached <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) await(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return len(g.reached) > 0 }, patience, glance, "nobody comes to it")
}

// TestCutoversHavePlacesOfTheirOwn: a copy that goes on all night keeps nobody from the
// window, in which no more cut over at a time than may.
func TestCutoversHavePlacesOfTheirOwn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	copies, cutovers := newGate(), newGate()
	var begun atomic.Int64
	w.options.Hook = func(ctx context.Context, point string) error {
		switch {
		case point == string(migration.Copying) && begun.Add(1) == 3:
			return copies.pass(ctx)
		case point == "K7":
			return cutovers.pass(ctx)
		}
		return nil
	}
	w.mover()
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 3), Options: planning.PlanOptions{CutoverWindow: "14:00-15:00", AtOnce: true, Canaries: new(int64(3)), PerBackend: 1}, Automatic: true})
	w.until(t, p, waits(2, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	moves := w.until(t, p, moveIs(3, planning.Moving), s)
	copies.await(t)
	w.hour.Store(2)
	w.until(t, p, waits(2, "cuts over when others have: as many as may at a time cut over from or to its backends"), s)
	cutovers.await(t)
	require.NoError(t, s.Step(ctx))
	got, err := w.moves.Get(ctx, moves[1].Move)
	require.NoError(t, err)
	require.Equal(t, migration.NoIntent, got.Intent, "one at a time")
	close(cutovers.open)
	w.until(t, p, moveIs(1, planning.Moved), s)
	w.until(t, p, moveIs(2, planning.Moved), s)
	got, err = w.moves.Get(ctx, moves[2].Move)
	require.NoError(t, err)
	require.Equal(t, migration.Copying, got.Phase)
	close(copies.open)
	w.until(t, p, moveIs(3, planning.Moved), s)
}

// TestACutoverThatMissesItsWindow takes nobody's place until that opens again, and says so.
func TestACutoverThatMissesItsWindow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	var late atomic.Int64 // the mover's hour: its comparison is not over before
	late.Store(3)
	w.options.Clock = func() time.Time { return noon.Add(time.Duration(late.Load()) * time.Hour) }
	w.mover()
	w.run(t)
	s := w.scheduler(t, "one")
	wanted := w.fleet(t, 3)
	p := w.plan(t, planning.NewPlan{Moves: wanted[:2], Options: planning.PlanOptions{CutoverWindow: "14:00-15:00", AtOnce: true, Canaries: new(int64(2)), PerBackend: 1}, Automatic: true})
	w.until(t, p, waits(2, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	w.hour.Store(2)
	moves := w.until(t, p, waits(2, "cuts over when others have: as many as may at a time cut over from or to its backends"), s)
	require.Empty(t, moves[0].Waits, "it was let")
	w.hour.Store(3)
	w.until(t, p, waits(1, "cuts over at 2026-03-02T14:00:00Z: the window 14:00-15:00 UTC"), s)
	w.until(t, p, waits(2, "cuts over at 2026-03-02T14:00:00Z: the window 14:00-15:00 UTC"), s)
	another := w.plan(t, planning.NewPlan{Moves: wanted[2:], Options: planning.PlanOptions{AtOnce: true, PerBackend: 1}, Automatic: true})
	w.until(t, another, moveIs(1, planning.Moved), s)
	got, err := w.moves.Get(ctx, moves[0].Move)
	require.NoError(t, err)
	require.Equal(t, migration.WantCutover, got.Intent, "the word stands")
	w.ask(t, p, planning.Pause)
	got, err = w.moves.Get(ctx, moves[0].Move)
	require.NoError(t, err)
	require.Equal(t, migration.NoIntent, got.Intent, "a pause takes it back")
	w.until(t, p, waits(1, ""))
	w.hour.Store(26)
	w.ask(t, p, planning.Resume)
	moves = w.until(t, p, waits(1, ""), s)
	require.Equal(t, planning.Moving, moves[0].State)
	w.until(t, p, waits(2, "cuts over when others have: as many as may at a time cut over from or to its backends"), s)
	late.Store(26)
	w.until(t, p, moveIs(1, planning.Moved), s)
	w.until(t, p, moveIs(2, planning.Moved), s)
}

// TestAFailureHoldsWhatWasLet and has not begun to cut over: the plan stops for all.
func TestAFailureHoldsWhatWasLet(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.options.Clock = func() time.Time { return noon.Add(3 * time.Hour) } // by which the movers' window is over
	w.mover()
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 2), Options: planning.PlanOptions{CutoverWindow: "14:00-15:00", AtOnce: true, Canaries: new(int64(2))}, Automatic: true})
	w.until(t, p, waits(2, "cuts over at 2026-03-01T14:00:00Z: the window 14:00-15:00 UTC"), s)
	w.hour.Store(2)
	moves := w.until(t, p, func(_ *planning.Plan, moves []planning.PlanMove) bool {
		return moves[0].Waits == "" && moves[1].Waits == ""
	}, s)
	intent := func() migration.Intent {
		m, err := w.moves.Get(ctx, moves[1].Move)
		require.NoError(t, err)
		return m.Intent
	}
	require.Equal(t, migration.WantCutover, intent())
	_, err := w.moves.Ask(ctx, moves[0].Move, migration.WantCancel)
	require.NoError(t, err)
	w.until(t, p, state(planning.Stopped), s)
	require.Equal(t, migration.NoIntent, intent())
}

// TestACutoverThatIsTried goes on though its plan is paused, as it says.
func TestACutoverThatIsTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	tried := newGate()
	w.options.Hook = func(ctx context.Context, point string) error {
		if point == "K8" {
			return tried.pass(ctx)
		}
		return nil
	}
	w.mover()
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 1), Options: planning.PlanOptions{AtOnce: true}, Automatic: true})
	moves := w.until(t, p, func(*planning.Plan, []planning.PlanMove) bool { return len(tried.reached) > 0 }, s)
	w.ask(t, p, planning.Pause)
	w.until(t, p, waits(1, "cuts over all the same, since it was let before; to hold it: smartseller move pause "+moves[0].Move))
	close(tried.open)
	w.until(t, p, moveIs(1, planning.Moved), s)
}

// TestCutoversComeInQuietHours by the traffic of last week.
func TestCutoversComeInQuietHours(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	p, quietest := w.quietInFour(t)
	w.until(t, p, waits(1, quietest), s)
	w.hour.Add(4)
	w.until(t, p, moveIs(1, planning.Moved), s)
}

// quietInFour plans to move a storefront, and says what that waits for: an hour begins now, by
// the fake clock, and the quietest one in four.
func (w *world) quietInFour(t *testing.T) (p *planning.Plan, waits string) {
	t.Helper()
	now := time.Now().Truncate(time.Hour)
	w.hour.Store(int64(now.Sub(noon).Hours()))
	id := w.shop(t, "shop")
	for ago := range 24 {
		asked := int64(100)
		if ago == 19 { // the same hour comes in five
			asked = 7
		}
		w.router.Traffic().Add(id, backends.Traffic{Requests: asked, At: now.Add(-time.Duration(ago+1) * time.Hour).Add(time.Hour / 2)})
		require.NoError(t, w.gatherer.Report(context.Background())) // what is not reported yet is of one hour
	}
	p = w.plan(t, planning.NewPlan{Moves: []planning.Wanted{{Storefront: "shop", Target: "two"}}, Automatic: true})
	return p, "cuts over at " + now.Add(4*time.Hour).UTC().Format(time.RFC3339) + ": the quietest hour of a day"
}

// TestAPlanThatStoodStillLooksForQuiet when it goes on: what stood by for days does not cut
// over in the middle of the day because a plan was resumed then.
func TestAPlanThatStoodStillLooksForQuiet(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	p, quietest := w.quietInFour(t)
	moves := w.until(t, p, waits(1, quietest), s)
	w.ask(t, p, planning.Pause)
	w.runner.Stop() // its record is rewritten
	const days = 3 * 24 * time.Hour
	got, err := w.moves.Get(ctx, moves[0].Move)
	require.NoError(t, err)
	got.Stats.VerifiedAt -= days.Microseconds()
	stats, err := json.Marshal(got.Stats)
	require.NoError(t, err)
	goesOn := func(since int64) migration.Intent {
		require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			if _, err := tx.Exec(`UPDATE moves SET stats = $2 WHERE id = $1`, got.ID, string(stats)); err != nil {
				return err
			}
			_, err := tx.Exec(`UPDATE plans SET updated_at = updated_at - $2 WHERE id = $1`, p.ID, since)
			return err
		}))
		require.NoError(t, s.Step(ctx))
		now, err := w.moves.Get(ctx, got.ID)
		require.NoError(t, err)
		return now.Intent
	}
	require.Equal(t, migration.NoIntent, goesOn(days.Microseconds()), "it is paused")
	w.ask(t, p, planning.Resume)
	require.Equal(t, migration.NoIntent, goesOn(0))
	w.until(t, p, waits(1, quietest), s)
	require.Equal(t, migration.WantCutover, goesOn(days.Microseconds()), "that day is over")
}

// TestMovesOfOperatorsTakeNoTurns of a plan: one that stands by, or is paused, and one of a
// storefront that the plan would move as well.
func TestMovesOfOperatorsTakeNoTurns(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, controltest.Open(t))
	w.run(t)
	s := w.scheduler(t, "one")
	wanted := w.fleet(t, 4)
	begin := func(slug string, o migration.Options) *migration.Move {
		id := w.idOf(t, slug)
		o.Unpaced = true
		m, err := w.moves.Start(ctx, migration.Request{Storefront: id, Target: "two", Options: o})
		require.NoError(t, err)
		return m
	}
	reaches := func(m *migration.Move, as func(*migration.Move) bool) {
		require.Eventually(t, func() bool {
			now, err := w.moves.Get(ctx, m.ID)
			require.NoError(t, err)
			return as(now)
		}, patience, glance)
	}
	verified := func(m *migration.Move) bool { return m.Stats.VerifiedAt > 0 }
	standing := begin("shop-2", migration.Options{ManualCutover: true})
	reaches(standing, verified)
	paused := begin("shop-3", migration.Options{ManualCutover: true})
	reaches(paused, verified)
	_, err := w.moves.Ask(ctx, paused.ID, migration.WantPause)
	require.NoError(t, err)
	reaches(paused, func(m *migration.Move) bool { return m.Phase == migration.Paused })

	none := int64(0)
	p := w.plan(t, planning.NewPlan{Moves: wanted[:2], Options: planning.PlanOptions{PerBackend: 1, Canaries: &none, AtOnce: true}, Automatic: true})
	own := begin("shop-0", migration.Options{ManualCutover: true}) // the first in turn, before the plan comes to it
	reaches(own, verified)
	w.until(t, p, moveIs(2, planning.Moved), s)
	moves := w.until(t, p, waits(1, "begins when another move of its storefront has ended: "+own.ID))
	require.Equal(t, planning.Waiting, moves[0].State)
}

// idOf finds a storefront by its slug.
func (w *world) idOf(t *testing.T, slug string) (id backends.StorefrontID) {
	t.Helper()
	require.NoError(t, w.db.View(context.Background(), func(_ context.Context, tx control.Tx) error {
		return tx.Get(&id, `SELECT id FROM storefronts WHERE slug = $1`, slug)
	}))
	return id
}
