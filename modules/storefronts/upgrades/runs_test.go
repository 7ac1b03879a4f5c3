package upgrades

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control/controltest"
)

// hour in microseconds.
const hour = int64(time.Hour / time.Microsecond)

// TestRunsGoByNoClock: neither an instance whose clock is ahead, and makes greater ids, nor a
// control database whose clock was set back, hides the run under way.
func TestRunsGoByNoClock(t *testing.T) { onBoth(t, runsGoByNoClock) }

func runsGoByNoClock(t *testing.T, f *fleet) {
	ctx := context.Background()
	f.create("shop")
	u := f.upgrader("one", alive)
	first, _ := f.begin(false)
	first = f.finish(first, u)
	const ahead = "ffffffff-0000-7000-8000-000000000000"
	f.exec(`UPDATE schema_upgrade_places SET run_id = $1`, ahead)
	f.exec(`UPDATE schema_upgrades SET id = $1, created_at = created_at + $2`, ahead, 2*hour)

	run, joined := f.begin(false)
	require.False(t, joined)
	require.Less(t, run.ID, ahead)
	again, joined := f.begin(false)
	require.True(t, joined)
	require.Equal(t, run.ID, again.ID)
	listed, err := f.Runs(ctx, "", 1)
	require.NoError(t, err)
	require.Equal(t, run.ID, listed[0].ID)
	require.Greater(t, listed[0].CreatedAt, first.CreatedAt+2*hour)
	listed, err = f.Runs(ctx, run.ID, 10)
	require.NoError(t, err)
	require.Len(t, listed, 1)
	require.Equal(t, ahead, listed[0].ID)
	found, err := f.Schema(ctx, "shop")
	require.NoError(t, err)
	require.Equal(t, Waiting, found.Upgrade.State, "of the newest run")
}

// TestWhatIsRepeatedIsToldAlone to who follows behind the change that a start tells.
func TestWhatIsRepeatedIsToldAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	f.create("sound")
	broken := f.create("broken").Place()
	f.lose(broken)
	u := f.upgrader("one", alive)
	run, _ := f.begin(false)
	f.finish(run, u)
	f.age(broken)
	again, _ := f.begin(true)
	f.finish(again, u)
	events, last, err := f.stream(ctx, again.ID, again.Changes)
	require.NoError(t, err)
	require.True(t, last)
	require.Len(t, events, 2)
	require.Contains(t, events[0].Data, `"slug":"broken"`)
	require.Equal(t, "ended", events[1].Kind)
}

// TestARunOfANewerProgram is waited for while it is under way, and not when it has ended.
func TestARunOfANewerProgram(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		ended bool
		want  error
	}{
		"under way": {false, ErrNewerRun},
		"ended":     {true, ErrNewerRan},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, controltest.Open(t))
			f.create("shop")
			run, _ := f.begin(false)
			if c.ended {
				f.finish(run, f.upgrader("newer", alive))
			}
			f.known--
			for _, failedOnly := range []bool{false, true} {
				_, _, err := f.Start(ctx, "an admin", failedOnly)
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}
