package upgrades

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control/controltest"
)

// TestOneErrorCutsOffNobody: while one place cannot be noted, those beside it are upgraded.
func TestOneErrorCutsOffNobody(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	for n := range placesAside + 2 { // one in the first wave, and one more than there is room for in the next
		f.age(f.create(fmt.Sprintf("shop-%d", n)).Place())
	}
	run, _ := f.begin(false)
	var hooks atomic.Int64
	away := errors.New("the control database is away")
	u := f.upgrader("one", func() error {
		if hooks.Add(1) == 2 {
			return away
		}
		return nil
	})
	require.True(t, f.step(u))
	passed, goOn := atomic.Int64{}, make(chan struct{})
	f.gate = func(ctx context.Context, _ backends.Place) error {
		switch passed.Add(1) {
		case 1: // the one that cannot be noted
			return nil
		case placesAside + 1: // comes when that one has gone
			close(goOn)
			return nil
		}
		select {
		case <-goOn:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	_, err := u.Step(ctx)
	require.ErrorIs(t, err, away)
	require.Len(t, f.placesOf(run, Done), placesAside+1)
	f.gate = nil
	run = f.finish(run, u)
	require.Equal(t, map[PlaceState]int64{Done: placesAside + 2}, run.Places)
}

// TestACancelledRunFinishesWhatIsUpgraded, and counts it; it begins nothing more.
func TestACancelledRunFinishesWhatIsUpgraded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	const more = 3
	for n := range 1 + placesAside + more {
		f.age(f.create(fmt.Sprintf("shop-%d", n)).Place())
	}
	run, _ := f.begin(false)
	u := f.upgrader("one", alive)
	require.True(t, f.step(u))
	b := f.bar()
	stepped := make(chan error, 1)
	go func() {
		_, err := u.Step(ctx)
		stepped <- err
	}()
	for range placesAside {
		awaited(t, b.came)
	}
	run, err := f.Cancel(ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, map[PlaceState]int64{Done: 1, Skipped: placesAside + more}, run.Places)
	events, last, err := f.stream(ctx, run.ID, run.Changes-1)
	require.NoError(t, err)
	require.True(t, last)
	require.Len(t, events, 1)

	b.goOn <- struct{}{} // one ends, and those that have not begun are turned away meanwhile
	for range 20 {
		f.exec(`UPDATE leases SET token = token`)
	}
	close(b.goOn)
	require.NoError(t, awaited(t, stepped))
	run, err = f.Run(ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, Cancelled, run.State)
	require.Equal(t, map[PlaceState]int64{Done: 1 + placesAside, Skipped: more}, run.Places)
	require.Empty(t, b.came, "nothing more has begun")

	events, last, err = f.stream(ctx, run.ID, events[0].ID)
	require.NoError(t, err)
	require.True(t, last)
	require.Len(t, events, placesAside+1)
	require.Contains(t, events[placesAside].Data, fmt.Sprintf(`"done":%d`, 1+placesAside))
	require.Greater(t, events[placesAside].ID, events[placesAside-1].ID, "else who was cut off between them never sees the end")
}

// TestACancelledRunKeepsNoPlaceWaiting, not even one whose turn came to nothing meanwhile;
// none of it is repeated.
func TestACancelledRunKeepsNoPlaceWaiting(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t, controltest.Open(t))
	moving := f.create("moving").Place()
	f.age(moving)
	f.moveInto(moving, "copying")
	broken := f.createOn("files-2", "broken").Place()
	f.lose(broken)
	f.create("third")
	run, _ := f.begin(false)
	u := f.upgrader("one", func() error {
		_, err := f.Cancel(ctx, run.ID)
		if errors.Is(err, ErrRunEnded) { // the other one's hook was first
			err = nil
		}
		return err
	})
	f.rest(u)
	run, err := f.Run(ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, Cancelled, run.State)
	require.Zero(t, run.Places[Waiting], "%v", run.Places)
	require.EqualValues(t, -1, run.Wave)
	require.EqualValues(t, 3, run.Places[Skipped]+run.Places[Failed])

	f.exec(`UPDATE schema_upgrade_places SET state = 'failed' WHERE storefront_id = $1`, string(broken.Storefront))
	_, _, err = f.Start(ctx, "an admin", true)
	require.ErrorIs(t, err, ErrRunCancelled)
	anew, joined := f.begin(false)
	require.False(t, joined)
	require.NotEqual(t, run.ID, anew.ID)
}
