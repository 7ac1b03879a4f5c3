package upgrades

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
)

// TestOldRunsAreForgotten, but the newest and those that ended lately, or have not ended.
func TestOldRunsAreForgotten(t *testing.T) { onBoth(t, oldRunsAreForgotten) }

func oldRunsAreForgotten(t *testing.T, f *fleet) {
	ctx := context.Background()
	f.create("shop")
	u := f.upgrader("one", alive)
	var runs []*Run
	for range 3 {
		run, _ := f.begin(false)
		runs = append(runs, f.finish(run, u))
	}
	require.NoError(t, f.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		for n := range forgetPlaces + 1 { // more than one transaction takes
			_, err := tx.Exec(`INSERT INTO schema_upgrade_places (run_id, storefront_id, backend, wave, state, cause, version_before, version, due_at, change, updated_at)
				VALUES ($1, $2, 'files-1', 1, 'done', '', 0, 0, 0, 0, 0)`, runs[0].ID, fmt.Sprintf("%06d", n))
			if err != nil {
				return err
			}
		}
		return nil
	}))
	left := func() (left []string) {
		found, err := f.Runs(ctx, "", 10)
		require.NoError(t, err)
		for _, r := range found {
			left = append(left, r.ID)
		}
		return left
	}
	end := func(r *Run) {
		f.exec(`UPDATE schema_upgrades SET ended_at = ended_at - $2 WHERE id = $1`, r.ID, 2*hour)
	}
	require.NoError(t, f.forget(ctx, time.Hour))
	require.Equal(t, []string{runs[2].ID, runs[1].ID, runs[0].ID}, left())
	end(runs[0])
	end(runs[2])
	require.NoError(t, f.forget(ctx, time.Hour))
	require.Equal(t, []string{runs[2].ID, runs[1].ID}, left(), "one ended lately, the other one is the newest")
	require.Empty(t, f.every(runs[0]))
	require.NotEmpty(t, f.every(runs[2]))
}

// every reads the places of a run, also of one that was forgotten.
func (f *fleet) every(run *Run) (out []Place) {
	f.t.Helper()
	require.NoError(f.t, f.db.View(context.Background(), func(_ context.Context, tx control.Tx) (err error) {
		out, err = readPlaces(tx, run.ID, "", Key{}, 10)
		return err
	}))
	return out
}

// TestManyMayFollow: places are counted for them at the end alone, and while any waits no
// new ones are looked for.
func TestManyMayFollow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	moving := f.create("moving").Place()
	f.age(moving)
	f.moveInto(moving, "copying")
	run, _ := f.begin(false)
	u := f.upgrader("one", alive)
	f.rest(u)
	f.create("late")
	f.rest(u)
	require.Len(t, f.placesOf(run, ""), 1)
	seen, places, err := f.Changed(ctx, run.ID, 0, 10)
	require.NoError(t, err)
	require.Len(t, places, 1)
	require.Nil(t, seen.Places)

	f.exec(`UPDATE schema_upgrade_places SET due_at = 0`)
	f.exec(`UPDATE moves SET phase = 'cancelled', ended_at = 1`)
	run = f.finish(run, u)
	require.Equal(t, map[PlaceState]int64{Done: 2}, run.Places)
	seen, _, err = f.Changed(ctx, run.ID, 0, 10)
	require.NoError(t, err)
	require.Equal(t, run.Places, seen.Places)
}
