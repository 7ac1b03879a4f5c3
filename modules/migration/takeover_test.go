package migration

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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

// TestTakeoverWaitsForAnIndex: an owner that is cut off still makes an index at the target,
// which holds the fence for longer than a place may be away. The move waits for it.
func TestTakeoverWaitsForAnIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var held atomic.Bool
	var since atomic.Int64
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, beforeTakeover: func() error {
			if s.Place().Backend == "two" && held.Load() && time.Now().UnixNano()-since.Load() < int64(2*time.Second) {
				return backends.ErrContended
			}
			return nil
		}}
	}
	i := w.instance(t, func(_ context.Context, point string) error {
		if point == "loaded" && held.CompareAndSwap(false, true) {
			since.Store(time.Now().UnixNano())
			return errors.New("the connection broke")
		}
		return nil
	})
	i.runner.tolerance = time.Second
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	require.True(t, held.Load())
	require.NoError(t, s.verdict(i.router))
}

// TestStopBehindTheCommit: an instance that is told to stop opens the new place first, which
// nobody else may do before its lease has run out.
func TestStopBehindTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	committed := make(chan struct{})
	i := w.instance(t, func(ctx context.Context, point string) error {
		if point == "K13" {
			close(committed)
			<-ctx.Done()
		}
		return nil
	})
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	happens(t, committed, "a commit")
	i.runner.Stop()
	require.Equal(t, backends.Active, fence(t, i, m.Target).State)
	require.Equal(t, backends.Standby, fence(t, i, m.Source).State)
	s.put(i, hotCell)
	i.runner.Start()
	s.judge(i, m.ID)
}

// TestWhatPassesEndsNoMove that is being prepared; what does not pass does.
func TestWhatPassesEndsNoMove(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	x := &run{Runner: i.runner, m: &Move{Phase: Preparing}}
	for _, err := range []error{backends.ErrUnreachable, backends.ErrContended, backends.ErrCommitUnknown, control.ErrAway} {
		require.False(t, x.hopeless(fmt.Errorf("the target: %w", err)), err)
	}
	for _, err := range []error{backends.ErrNotEmpty, errors.New("permission denied")} {
		require.True(t, x.hopeless(err), err)
	}
}

// TestLeases: they are short from the first step of a cutover until the storefront is known to
// be open again.
func TestLeases(t *testing.T) {
	t.Parallel()
	r := &Runner{lease: leaseNormal}
	for _, c := range []struct {
		phase Phase
		cut   Cut
		want  time.Duration
	}{
		{CuttingOver, NotCut, leaseNormal},
		{CuttingOver, Cutting, leaseCutting},
		{CuttingOver, Aborted, leaseCutting},
		{CuttingOver, Committed, leaseCutting},
		{RollingBack, Aborted, leaseCutting},
		{Cancelling, Cutting, leaseCutting},
		{Cancelling, Aborted, leaseCutting},
		{Cancelling, NotCut, leaseNormal},
		{Watching, Committed, leaseNormal},
		{Finalizing, Committed, leaseNormal},
	} {
		require.Equal(t, c.want, r.leaseOf(&Move{Phase: c.phase, Cut: c.cut}), "%s %s", c.phase, c.cut)
	}
}

// TestLeasesAreWatchedFor: whoever looks for free moves looks again when the lease runs out of
// one whose storefront may be sealed.
func TestLeasesAreWatchedFor(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	m := start(t, i, i.storefront(t, 3), Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	i.runner.Stop()
	t.Cleanup(i.runner.Start) // so that stopping twice is no panic
	x := claimed(t, i, m.ID)
	for _, c := range []struct {
		phase   Phase
		cut     Cut
		watched bool
	}{{CuttingOver, Cutting, true}, {Cancelling, Aborted, true}, {RollingBack, Committed, true}, {CuttingOver, NotCut, false}, {Watching, Committed, false}} {
		require.NoError(t, x.save(ctx, "test", nil, func(_ control.Tx, m *Move) error {
			m.Phase, m.Cut = c.phase, c.cut
			return nil
		}))
		in, err := readShortestLease(ctx, i.db, time.Hour)
		require.NoError(t, err)
		require.Equal(t, c.watched, in <= leaseCutting+time.Millisecond, "%s %s: %s", c.phase, c.cut, in) // clocks are read to the microsecond
	}
	x.handBack(ctx)
}
