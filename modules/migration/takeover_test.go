package migration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
)

// claimed is a planned move in the hands of an owner whom nothing drives but the test.
func claimed(t *testing.T, i *instance, id string) *run {
	t.Helper()
	ctx := context.Background()
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE moves SET lease_until = 0 WHERE id = $1`, id)
		return err
	}))
	m, err := i.runner.claim(ctx, id)
	require.NoError(t, err)
	require.NotNil(t, m)
	x := &run{Runner: i.runner, token: m.token(), m: m, leaveSlot: func() {}}
	x.pace = newPace(i.router.Latencies(), time.Now)
	x.intent.Store(NoIntent)
	t.Cleanup(x.close)
	return x
}

// TestLateOwnerCannotEnlist pauses an owner before it enlists the source. Another one
// cancels the move meanwhile; the first must not leave the source in its hands.
func TestLateOwnerCannotEnlist(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	storefront := i.storefront(t, 3)
	i.runner.Stop()
	two, err := i.directory.Backend(ctx, "two")
	require.NoError(t, err)
	require.NoError(t, two.Ping(ctx))
	m, err := i.service.Start(ctx, Request{Storefront: storefront, Target: "two"})
	require.NoError(t, err)

	late := claimed(t, i, m.ID)
	require.NoError(t, late.enter(ctx, Preparing))
	require.NoError(t, late.open(ctx))

	other := claimed(t, i, m.ID)
	require.NoError(t, other.open(ctx))
	require.NoError(t, other.enter(ctx, Cancelling))
	require.NoError(t, other.undo(ctx))
	require.Equal(t, Cancelled, other.m.Phase)

	require.ErrorIs(t, late.prepare(ctx), backends.ErrStaleToken)
	f, err := late.source.Fence(ctx)
	require.NoError(t, err)
	require.Equal(t, backends.Fence{Epoch: 1, State: backends.Active, Gen: other.m.Gen}, f)

	again, err := i.service.Start(ctx, Request{Storefront: storefront, Target: "two"})
	require.NoError(t, err)
	next := claimed(t, i, again.ID)
	require.Greater(t, next.m.Gen, other.m.Gen, "a later move's owner outranks all of an earlier one's")
	require.NoError(t, next.enter(ctx, Preparing))
	require.NoError(t, next.open(ctx))
	require.NoError(t, next.prepare(ctx), "what the late owner made at the target is cleared away")
}

// TestCancelAfterALostCommit has an owner that believes its commit has not happened
// give the move up: the storefront lives at the target already.
func TestCancelAfterALostCommit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	storefront := i.storefront(t, 3)
	i.runner.Stop()
	m, err := i.service.Start(ctx, Request{Storefront: storefront, Target: "two"})
	require.NoError(t, err)
	x := claimed(t, i, m.ID)
	x.m.Cut = Cutting
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE moves SET cut = 'committed', phase = 'cutting_over' WHERE id = $1`, m.ID)
		return err
	}))
	require.ErrorIs(t, x.fail(ctx, errors.New("the control database did not answer for long")), errLost)
	after, err := i.service.Get(ctx, m.ID)
	require.NoError(t, err)
	require.Equal(t, CuttingOver, after.Phase)
}
