package migration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

func start(t *testing.T, i *instance, id backends.StorefrontID, o Options) *Move {
	t.Helper()
	return startTo(t, i, id, "two", o)
}

func startTo(t *testing.T, i *instance, id backends.StorefrontID, target string, o Options) *Move {
	t.Helper()
	o.Unpaced = true // what is tested is what happens, not how fast on a busy machine
	m, err := i.service.Start(context.Background(), Request{Storefront: id, Target: target, Options: o, By: "test", Reason: "test"})
	require.NoError(t, err)
	return m
}

func ask(t *testing.T, i *instance, id string, want Intent) {
	t.Helper()
	_, err := i.service.Ask(context.Background(), id, want)
	require.NoError(t, err)
}

func (i *instance) requireAt(t *testing.T, id backends.StorefrontID, backend string, epoch int64) {
	t.Helper()
	at, err := i.directory.Placement(context.Background(), id)
	require.NoError(t, err)
	require.Equal(t, backend, at.Place.Backend)
	require.Equal(t, epoch, at.Epoch)
}

func (w *world) files(t *testing.T, backend string, id backends.StorefrontID) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.folder, backend, string(id), "*"))
	require.NoError(t, err)
	return found
}

func TestMoveUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 3000)
	l := startLoad(id, i.router)
	m := start(t, i, id, Options{})
	i.waitFor(t, m.ID, Watching)
	i.requireAt(t, id, "two", 2)
	ask(t, i, m.ID, WantFinalize)
	m = i.waitFor(t, m.ID, Completed)
	l.check(t, i.router)
	require.Empty(t, w.files(t, "one", id), "the old place is erased")
	require.Contains(t, m.Receipt, `"outcome":"completed"`)
	require.Positive(t, m.Stats.StallMicros)
	f := fence(t, i, backends.Place{Backend: "two", Storefront: id, Epoch: 2})
	require.Equal(t, backends.Fence{Epoch: 2, State: backends.Active, Gen: f.Gen}, f)
}

// TestMoveThroughAllBackends: file, shared database, own database, and back to a file,
// under load all the way, each first with a rollback; a neighbour notices nothing.
func TestMoveThroughAllBackends(t *testing.T) {
	t.Parallel()
	i := newWideWorld(t).instance(t, nil)
	id, other := i.storefront(t, 2500), i.storefrontOn(t, "shared", 10)
	l, quiet := startLoad(id, i.router), startLoad(other, i.router)
	epoch := int64(1)
	for _, target := range []string{"shared", "dedicated", "two"} {
		m := startTo(t, i, id, target, Options{})
		i.waitFor(t, m.ID, Watching)
		ask(t, i, m.ID, WantRollback)
		i.waitFor(t, m.ID, RolledBack)
		m = startTo(t, i, id, target, Options{})
		i.waitFor(t, m.ID, Watching)
		ask(t, i, m.ID, WantFinalize)
		i.waitFor(t, m.ID, Completed)
		epoch += 3
		i.requireAt(t, id, target, epoch)
	}
	l.check(t, i.router)
	quiet.check(t, i.router)
	i.requireAt(t, other, "shared", 1)
}

func fence(t *testing.T, i *instance, p backends.Place) backends.Fence {
	t.Helper()
	s, release, err := i.stores.Acquire(context.Background(), p)
	require.NoError(t, err)
	defer release()
	f, err := s.Fence(context.Background())
	require.NoError(t, err)
	return f
}

func TestRollBackLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 500)
	l := startLoad(id, i.router)
	m := start(t, i, id, Options{})
	i.waitFor(t, m.ID, Watching)
	before := l.requests.Load()
	require.Eventually(t, func() bool { return l.requests.Load() > before+50 }, waitLong, waitStep)
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
	i.requireAt(t, id, "one", 3)
	l.check(t, i.router)
	require.Empty(t, w.files(t, "two", id))
	f := fence(t, i, backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	require.Equal(t, backends.Fence{Epoch: 3, State: backends.Active, Gen: f.Gen}, f)
	next := start(t, i, id, Options{}) // and it may move again
	i.waitFor(t, next.ID, Watching)
}

func TestPauseResumeCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 500)
	l := startLoad(id, i.router)
	m := start(t, i, id, Options{ManualCutover: true})
	i.waitFor(t, m.ID, Verifying)
	ask(t, i, m.ID, WantPause)
	i.waitFor(t, m.ID, Paused)
	ask(t, i, m.ID, WantResume)
	i.waitFor(t, m.ID, Verifying)
	ask(t, i, m.ID, WantCancel)
	i.waitFor(t, m.ID, Cancelled)
	l.check(t, i.router)
	i.requireAt(t, id, "one", 1)
	require.Empty(t, w.files(t, "two", id), "nothing is left at the target")
	p := backends.Place{Backend: "one", Storefront: id, Epoch: 1}
	f := fence(t, i, p)
	require.Equal(t, backends.Fence{Epoch: 1, State: backends.Active, Gen: f.Gen}, f, "the source is as it was")
	s, release, err := i.stores.Acquire(context.Background(), p)
	require.NoError(t, err)
	defer release()
	n, err := s.Backlog(context.Background())
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestOperationsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 1)
	refused := func(storefront backends.StorefrontID, target string, want error) {
		t.Helper()
		_, err := i.service.Start(ctx, Request{Storefront: storefront, Target: target})
		require.ErrorIs(t, err, want)
		_, err = i.service.DryRun(ctx, Request{Storefront: storefront, Target: target})
		require.ErrorIs(t, err, want)
	}
	refused(id, "one", ErrAlreadyThere)
	refused(id, "nowhere", backends.ErrNoBackend)
	refused("unknown", "two", backends.ErrNoStorefront)
	m := start(t, i, id, Options{ManualCutover: true})
	refused(id, "two", ErrMoveOpen)
	_, err := i.service.Ask(ctx, m.ID, WantRollback)
	require.ErrorContains(t, err, "rollback is not possible now")
	_, err = i.service.Ask(ctx, "unknown", WantCancel)
	require.ErrorIs(t, err, ErrNoMove)
}

// TestCorruptionRefusesCutover changes a row behind the mover's back.
func TestCorruptionRefusesCutover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var i *instance
	var id backends.StorefrontID
	var once atomic.Bool
	ready := make(chan struct{})
	i = w.instance(t, func(ctx context.Context, point string) error {
		if point != "K4" || !once.CompareAndSwap(false, true) {
			return nil
		}
		<-ready
		s, release, err := i.stores.Acquire(ctx, backends.Place{Backend: "two", Storefront: id, Epoch: 2})
		if err != nil {
			return err
		}
		defer release()
		f, err := s.Fence(ctx)
		if err != nil {
			return err
		}
		k := backends.Key{Table: "counters", ID: "row-000007"}
		return s.Apply(ctx, backends.Token{Move: f.Move, Gen: f.Gen}, backends.Batch{Keys: []backends.Key{k}, Rows: map[backends.Key]backends.Row{k: {k.ID, int64(666)}}})
	})
	id = i.storefront(t, 20)
	close(ready)
	m := start(t, i, id, Options{})
	m = i.waitFor(t, m.ID, Failed)
	require.Contains(t, m.Cause, "counters row-000007")
	require.NotContains(t, m.Cause, "666", "values are not shown")
	require.Contains(t, m.Stats.Gates[verificationGate], "failed: ")
	require.Contains(t, m.Advice, "To do: find out who changes rows")
	i.requireAt(t, id, "one", 1)
	put(t, i, id, "still open")
	again := start(t, i, id, Options{})
	i.waitFor(t, again.ID, Watching)
}

func put(t *testing.T, i *instance, id backends.StorefrontID, row string) {
	t.Helper()
	require.NoError(t, i.router.Update(context.Background(), id, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(addCounter, row, 1)
		return err
	}))
}

func TestTargetOutOfReachFailsAndServesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 5)
	require.NoError(t, os.Remove(filepath.Join(w.folder, "two")))
	require.NoError(t, os.WriteFile(filepath.Join(w.folder, "two"), []byte("a file where a folder should be"), 0o600))
	m := start(t, i, id, Options{})
	m = i.waitFor(t, m.ID, Failed, Cancelling)
	require.Contains(t, m.Cause, "cannot be reached")
	require.False(t, strings.Contains(m.Cause, "SELECT"))
	put(t, i, id, "still open")
}
