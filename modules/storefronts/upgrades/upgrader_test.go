package upgrades

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/storetest"
	"smartseller/migrations"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/database"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

// errKilled is what a hook says where a process is to be killed.
var errKilled = errors.New("killed")

// upgrader is one instance's, whose steps the test makes.
func (f *fleet) upgrader(name string, hook func() error) *Upgrader {
	return f.upgraderOn("", name, hook)
}

// upgraderOn is one of an instance on a host, "": this one, to which no other instances come
// if they are not there.
func (f *fleet) upgraderOn(host, name string, hook func() error) *Upgrader {
	u := NewUpgrader(UpgraderOptions{
		Service: f.Service, Name: name, Host: host, Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)),
		Hook: func(context.Context, string) error { return hook() },
	})
	u.notice = 0
	return u
}

func alive() error { return nil }

func (f *fleet) begin(failedOnly bool) (*Run, bool) {
	f.t.Helper()
	run, joined, err := f.Start(context.Background(), "an admin", failedOnly)
	require.NoError(f.t, err)
	return run, joined
}

// finish makes steps until a run has ended.
func (f *fleet) finish(run *Run, u *Upgrader) *Run {
	f.t.Helper()
	for run.State == Running {
		worked, err := u.Step(context.Background())
		require.NoError(f.t, err)
		run, err = f.Run(context.Background(), run.ID)
		require.NoError(f.t, err)
		require.True(f.t, worked || run.State != Running, "it stands still: %+v", run)
	}
	return run
}

func (f *fleet) step(u *Upgrader) (worked bool) {
	f.t.Helper()
	worked, err := u.Step(context.Background())
	require.NoError(f.t, err)
	return worked
}

// rest makes steps until there is nothing to do for an instance.
func (f *fleet) rest(u *Upgrader) {
	f.t.Helper()
	for f.step(u) {
	}
}

// expire ends the lease of an instance that is dead.
func (f *fleet) expire() {
	f.t.Helper()
	f.exec(`UPDATE leases SET until = 0`)
}

func (f *fleet) exec(text string, args ...any) {
	f.t.Helper()
	require.NoError(f.t, f.db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(text, args...)
		return err
	}))
}

func (f *fleet) placesOf(run *Run, state PlaceState) []Place {
	f.t.Helper()
	places, err := f.Places(context.Background(), run.ID, state, Key{}, 1000)
	require.NoError(f.t, err)
	return places
}

// onBoth runs a test on both engines that a control database may be.
func onBoth(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newFleet(t, controltest.Open(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		db, err := control.Open(context.Background(), pgtest.Database(t))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		test(t, newFleet(t, db))
	})
}

// TestFiftyPlacesOneBrokenOwnerKilled: another instance finishes, whoever asks meanwhile
// joins, and what failed is repeated alone.
func TestFiftyPlacesOneBrokenOwnerKilled(t *testing.T) { onBoth(t, fiftyPlaces) }

func fiftyPlaces(t *testing.T, f *fleet) {
	ctx := context.Background()
	const count = 50
	shops := make([]backends.Place, count)
	for i := range shops {
		shops[i] = f.create(fmt.Sprintf("shop-%02d", i)).Place()
		f.age(shops[i])
	}
	broken := shops[17]
	f.lose(broken)
	run, joined := f.begin(false)
	require.False(t, joined)
	require.Equal(t, map[PlaceState]int64{Waiting: count}, run.Places)

	var upgraded atomic.Int64
	dying := f.upgrader("one", func() error {
		if upgraded.Add(1) > 20 {
			return errKilled // upgraded, and not noted
		}
		return nil
	})
	other := f.upgrader("two", alive)
	_, err := dying.Step(ctx) // the first wave is one place
	require.NoError(t, err)
	_, err = dying.Step(ctx)
	require.ErrorIs(t, err, errKilled)
	joining, joined := f.begin(false)
	require.True(t, joined)
	require.Equal(t, run.ID, joining.ID)
	noted := joining.Places[Done] + joining.Places[Failed]
	require.True(t, 0 < noted && noted <= 20, "%+v", joining.Places)
	worked, err := other.Step(ctx)
	require.NoError(t, err)
	require.False(t, worked, "nobody knows yet that its owner is dead")
	f.expire()

	run = f.finish(joining, other)
	require.Equal(t, Completed, run.State)
	require.Equal(t, map[PlaceState]int64{Done: count - 1, Failed: 1}, run.Places)
	failed := f.placesOf(run, Failed)
	require.Equal(t, broken.Storefront, failed[0].Storefront)
	require.Contains(t, failed[0].Cause, "On files-1 there is no place of the storefront")
	_, err = dying.Step(ctx)
	require.NoError(t, err, "it comes back and has nothing to do")

	found, err := f.Schemas(ctx, "", 100)
	require.NoError(t, err)
	for _, p := range found {
		want := SchemaCurrent
		if p.Storefront.ID == broken.Storefront {
			want = SchemaUnknown
			require.Equal(t, Fate{Failed, failed[0].Cause}, p.Upgrade)
		} else {
			require.Equal(t, Fate{State: Done}, p.Upgrade)
		}
		require.Equal(t, want, p.State)
	}

	f.age(broken)
	before := upgraded.Load()
	again, joined := f.begin(true)
	require.False(t, joined)
	require.Equal(t, map[PlaceState]int64{Waiting: 1, Done: count - 1}, again.Places)
	run = f.finish(again, f.upgrader("two", func() error {
		upgraded.Add(1)
		return nil
	}))
	require.Equal(t, map[PlaceState]int64{Done: count}, run.Places)
	require.Equal(t, before+1, upgraded.Load(), "that one alone")
	_, _, err = f.Start(ctx, "an admin", true)
	require.ErrorIs(t, err, ErrNothingFailed)
	done := f.placesOf(run, Done)
	require.Less(t, done[0].Before, done[0].Version)
}

// TestASharedDatabaseIsOnePlace, however many storefronts are in it, and comes after
// those that are alone; each of its storefronts is told what became of it.
func TestASharedDatabaseIsOnePlace(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	dsn := pgtest.Database(t)
	owner, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, owner.Close()) })
	files, err := migrations.Tenant(migrations.Postgres)
	require.NoError(t, err)
	require.NoError(t, f.shops.AddBackend(ctx, backends.Config{Name: "shared", Kind: backends.SharedPostgres, DSN: pgtest.Role(t, dsn, ""), AdminDSN: dsn}))
	require.NoError(t, database.Migrate(ctx, owner, goose.DialectPostgres, storetest.Older(t, files)))
	f.age(f.create("alone").Place())
	for n := range 3 { // to found them would upgrade it
		id := ids.New()
		f.exec(`INSERT INTO storefronts (id, slug, name, currency, time_zone, status, settings, created_at, updated_at, version)
			VALUES ($1, $2, '', 'EUR', 'UTC', 'active', '{}', 0, 0, 1)`, id, fmt.Sprintf("together-%d", n))
		f.exec(`INSERT INTO placements (storefront_id, backend, made_at_epoch, epoch, changed_at) VALUES ($1, 'shared', 1, 1, 0)`, id)
	}
	run, _ := f.begin(false)
	require.Equal(t, map[PlaceState]int64{Waiting: 2}, run.Places)
	u := f.upgrader("one", alive)
	_, err = u.Step(ctx)
	require.NoError(t, err)
	waiting := f.placesOf(run, Waiting)
	require.Len(t, waiting, 1)
	require.Equal(t, Key{Backend: "shared"}, waiting[0].Key)
	require.EqualValues(t, 3, waiting[0].Holds)
	late := f.create("late")
	run = f.finish(run, u)
	require.Equal(t, map[PlaceState]int64{Done: 3}, run.Places, "with the one that was founded meanwhile")
	found, err := f.Schemas(ctx, "", 10)
	require.NoError(t, err)
	require.Len(t, found, 5)
	for _, p := range found {
		require.Equal(t, SchemaCurrent, p.State)
		require.Equal(t, Done, p.Upgrade.State, "%s", p.Storefront.Slug)
	}
	require.Equal(t, late.ID, found[1].Storefront.ID)

	_, err = owner.ExecContext(ctx, `ALTER TABLE customers DISABLE ROW LEVEL SECURITY`)
	require.NoError(t, err)
	_, err = f.UpgradeSchema(ctx, "together-0")
	require.NoError(t, err)
	var guarded bool
	require.NoError(t, owner.QueryRowContext(ctx, `SELECT relrowsecurity FROM pg_class WHERE relname = 'customers'`).Scan(&guarded))
	require.True(t, guarded, "as doctor says")
}

// TestSharedDatabasesComeOneAfterTheOther, that of the fewest storefronts first, and behind those
// that are alone; one that nobody lives in is none.
func TestSharedDatabasesComeOneAfterTheOther(t *testing.T) { onBoth(t, sharedDatabasesInTurn) }

func sharedDatabasesInTurn(t *testing.T, f *fleet) {
	f.age(f.create("alone").Place())
	for name, holds := range map[string]int{"all": 9, "few": 2, "none": 0, "some": 5, "two": 2} {
		require.NoError(t, f.shops.AddBackend(t.Context(), backends.Config{Name: name, Kind: backends.SQLite, Path: t.TempDir()}))
		f.exec(`UPDATE backends SET shared = 1 WHERE name = $1`, name)
		for range holds {
			f.exec(`INSERT INTO placements (storefront_id, backend, made_at_epoch, epoch, changed_at) VALUES ($1, $2, 1, 1, 0)`, ids.New(), name)
		}
	}
	run, _ := f.begin(false)
	waves := map[string]int64{}
	for _, p := range f.placesOf(run, Waiting) {
		waves[p.Backend] = p.Wave
	}
	require.Equal(t, map[string]int64{"files-1": 0, "few": 1, "two": 2, "some": 3, "all": 4}, waves)
	u := f.upgrader("one", alive)
	for left := range 5 {
		require.Len(t, f.placesOf(run, Waiting), 5-left)
		require.True(t, f.step(u))
	}
}

// TestAPlaceThatMovesWaits, and holds up nobody; a run that is cancelled skips it.
func TestAPlaceThatMovesWaits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	moving, other := f.create("moving").Place(), f.create("other").Place()
	f.age(moving)
	f.age(other)
	f.moveInto(moving, "copying")
	run, _ := f.begin(false)
	u := f.upgrader("one", alive)
	for range 3 {
		_, err := u.Step(ctx)
		require.NoError(t, err)
	}
	waiting := f.placesOf(run, Waiting)
	require.Len(t, waiting, 1)
	require.Contains(t, waiting[0].Cause, "is copying and both of its places must keep their schema")
	require.Equal(t, SchemaCurrent, f.state(other))
	f.exec(`UPDATE schema_upgrade_places SET due_at = 0`)
	f.exec(`UPDATE moves SET phase = 'cancelled', ended_at = 1`)
	run = f.finish(run, u)
	require.Equal(t, map[PlaceState]int64{Done: 2}, run.Places)
	_, err := f.Cancel(ctx, run.ID)
	require.ErrorIs(t, err, ErrRunEnded)

	run, joined := f.begin(false)
	require.False(t, joined, "the other one has ended")
	run, err = f.Cancel(ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, map[PlaceState]int64{Skipped: 2}, run.Places)
	worked, err := u.Step(ctx)
	require.NoError(t, err)
	require.False(t, worked)
}

// TestARunBelongsToTheNewestProgram: an older one leaves it alone, a newer one begins it anew.
func TestARunBelongsToTheNewestProgram(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	f.create("shop")
	run, _ := f.begin(false)
	f.known--
	_, _, err := f.Start(ctx, "an admin", false)
	require.ErrorIs(t, err, ErrNewerRun)
	worked, err := f.upgrader("old", alive).Step(ctx)
	require.NoError(t, err)
	require.False(t, worked)
	f.known += 2
	_, err = f.upgrader("new", alive).Step(ctx)
	require.NoError(t, err)
	require.Len(t, f.placesOf(run, Done), 1)
	anew, joined := f.begin(false)
	require.True(t, joined)
	require.Equal(t, map[PlaceState]int64{Waiting: 1}, anew.Places)
}

// TestTheControlDatabaseGoesAwayForAMoment: that is no failure of the place that had its turn,
// which is upgraded when the database is back.
func TestTheControlDatabaseGoesAwayForAMoment(t *testing.T) {
	t.Parallel()
	f := newFleet(t, controltest.Open(t))
	f.age(f.create("shop").Place())
	away := control.ErrAway.Because(errors.New("connection reset by peer"))
	f.gate = func(context.Context, backends.Place) error { return away }
	run, _ := f.begin(false)
	u := f.upgrader("one", alive)
	_, err := u.Step(context.Background())
	require.ErrorIs(t, err, control.ErrAway, "it is tried again in a moment, not at once")
	waiting := f.placesOf(run, Waiting)
	require.Len(t, waiting, 1)
	require.Empty(t, waiting[0].Cause)
	f.gate = nil
	run = f.finish(run, u)
	require.Equal(t, map[PlaceState]int64{Done: 1}, run.Places)
}

// TestWhoFollowsSeesEachChangeOnce, and the end.
func TestWhoFollowsSeesEachChangeOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	for n := range 3 {
		f.create(fmt.Sprintf("shop-%d", n))
	}
	run, _ := f.begin(false)
	u := f.upgrader("one", alive)
	_, err := u.Step(ctx)
	require.NoError(t, err)
	events, last, err := f.stream(ctx, run.ID, 0)
	require.NoError(t, err)
	require.False(t, last)
	require.Len(t, events, 1)
	f.finish(run, u)
	events, last, err = f.stream(ctx, run.ID, events[0].ID)
	require.NoError(t, err)
	require.True(t, last)
	require.Len(t, events, 3)
	require.Equal(t, "ended", events[2].Kind)
	require.Contains(t, events[2].Data, `"state":"completed"`)
	events, last, err = f.stream(ctx, run.ID, events[2].ID)
	require.NoError(t, err)
	require.True(t, last)
	require.Empty(t, events)
}
