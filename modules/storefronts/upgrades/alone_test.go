package upgrades

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control/controltest"
	"smartseller/platform/fault"
)

// patience bounds the wait for what must come.
const patience = 30 * time.Second

func awaited[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.Fail(t, "it did not come")
	}
	return v
}

// barrier is a gate at which upgrades stand until they are let on, or cut off.
type barrier struct {
	came chan backends.Place
	goOn chan struct{}
}

func (f *fleet) bar() *barrier {
	b := &barrier{came: make(chan backends.Place, 100), goOn: make(chan struct{})}
	f.gate = func(ctx context.Context, p backends.Place) error {
		b.came <- p
		select {
		case <-b.goOn:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(patience):
			return errors.New("nobody let it on")
		}
	}
	return b
}

// TestWhoAskedMayLeave: the upgrade of one place goes on, and who asks again waits for it.
func TestWhoAskedMayLeave(t *testing.T) {
	t.Parallel()
	f := newFleet(t, controltest.Open(t))
	shop := f.create("toys")
	f.age(shop.Place())
	b := f.bar()
	ctx, leave := context.WithCancel(context.Background())
	left := make(chan error, 1)
	go func() {
		_, err := f.UpgradeSchema(ctx, "toys")
		left <- err
	}()
	awaited(t, b.came)
	leave()
	require.ErrorIs(t, awaited(t, left), context.Canceled)
	require.Equal(t, SchemaBehind, f.state(shop.Place()))

	again := f.alone.join(shop.ID, func(context.Context) error {
		t.Error("it is under way")
		return nil
	})
	close(b.goOn)
	awaited(t, again.done)
	require.NoError(t, again.err)
	require.Equal(t, SchemaCurrent, f.state(shop.Place()))
}

// TestAStopEndsWhatWasAskedFor, and says so; nothing begins behind it.
func TestAStopEndsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	f := newFleet(t, controltest.Open(t))
	shop := f.create("toys")
	f.age(shop.Place())
	b := f.bar()
	answer := make(chan error, 1)
	go func() {
		_, err := f.UpgradeSchema(context.Background(), "toys")
		answer <- err
	}()
	awaited(t, b.came)
	f.Stop()
	require.Equal(t, "upgrade_stopped", fault.Of(awaited(t, answer)).Code)
	_, err := f.UpgradeSchema(context.Background(), "toys")
	require.ErrorIs(t, err, errStopping)
	require.Empty(t, b.came)
}
