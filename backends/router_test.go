package backends_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

var open, sealed = backends.Transition{From: []backends.State{backends.Sealed}, To: backends.Active},
	backends.Transition{From: []backends.State{backends.Active}, To: backends.Sealed, Exclusive: time.Second}

// move is what a mover does with a storefront's fence.
type move struct {
	t     *testing.T
	store backends.Store
	token backends.Token
}

func (w *world) move(t *testing.T, id backends.StorefrontID) *move {
	t.Helper()
	store, release, err := w.stores.Acquire(context.Background(), place(id))
	require.NoError(t, err)
	t.Cleanup(release)
	m := &move{t: t, store: store, token: backends.Token{Move: ids.New(), Gen: 1}}
	require.NoError(t, store.Enlist(context.Background(), m.token))
	return m
}

func (m *move) change(c backends.Transition) {
	m.t.Helper()
	require.NoError(m.t, m.store.Change(context.Background(), m.token, c))
}

// parked waits until so many requests wait.
func (w *world) parked(t *testing.T, id backends.StorefrontID, n int) {
	t.Helper()
	for began := time.Now(); w.router.Parked(id) < n; {
		require.Less(t, time.Since(began), 20*time.Second)
	}
}

// TestSealIsWaitedOut: writers wait and then write, readers read.
func TestSealIsWaitedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.router = backends.NewRouter(w.directory, w.stores, backends.RouterOptions{ParkBudget: time.Minute})
	id := w.storefront(t)
	require.NoError(t, w.visit(id))
	m := w.move(t, id)
	m.change(sealed)
	const writers = 5
	done := make(chan error, writers)
	for range writers {
		go func() { done <- w.visit(id) }()
	}
	w.parked(t, id, writers)
	n, err := w.visits(id)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	m.change(open)
	for range writers {
		require.NoError(t, <-done)
	}
	require.Zero(t, w.router.Parked(id))
	n, err = w.visits(id)
	require.NoError(t, err)
	require.EqualValues(t, 1+writers, n)
}

// TestSealThatLasts: who waits too long, or where too many wait, is told to come
// again, and who may end the cutover is told of it.
func TestSealThatLasts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.router = backends.NewRouter(w.directory, w.stores, backends.RouterOptions{ParkBudget: 2 * backends.StallAfter, MaxParked: 2})
	stalled := make(chan backends.StorefrontID, 2)
	w.router.OnStall(func(_ context.Context, id backends.StorefrontID) { stalled <- id })
	id := w.storefront(t)
	w.move(t, id).change(sealed)
	waiting := make(chan error, 2)
	for range cap(waiting) {
		go func() { waiting <- w.visit(id) }()
	}
	w.parked(t, id, 2)
	err := w.visit(id)
	require.ErrorIs(t, err, backends.ErrBusy, "a third need not even wait")
	require.Positive(t, fault.Of(err).RetryAfter)
	for range cap(waiting) {
		require.ErrorIs(t, <-waiting, backends.ErrBusy)
		require.Equal(t, id, <-stalled)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		waiting <- w.router.Update(ctx, id, func(context.Context, backends.Tx) error { return nil })
	}()
	w.parked(t, id, 1)
	cancel()
	require.ErrorIs(t, <-waiting, context.Canceled)
}

// TestMovedStorefrontIsFollowed: whatever the router believed, the fence of the
// old place and the control database tell it better.
func TestMovedStorefrontIsFollowed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	id := w.storefront(t)
	require.NoError(t, w.visit(id))
	next := backends.Place{Backend: "files", Storefront: id, Epoch: 2}
	b, err := w.directory.Backend(ctx, "files")
	require.NoError(t, err)
	require.NoError(t, b.Create(ctx, next))
	store, release, err := w.stores.Acquire(ctx, next)
	require.NoError(t, err)
	require.NoError(t, store.Found(ctx, 2))
	release()

	m := w.move(t, id)
	m.change(backends.Transition{From: []backends.State{backends.Active}, To: backends.Moved})
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := w.directory.Switch(tx, backends.Placement{Place: place(id), Epoch: 1}, next, m.token.Move)
		return err
	}))
	require.NoError(t, w.visit(id))
	found, err := w.router.Placement(ctx, id)
	require.NoError(t, err)
	require.Equal(t, backends.Placement{Place: next, Epoch: 2}, found)
	n, err := w.visits(id)
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "the new place's own")
}

func TestTransactionInsideAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	id, other := w.storefront(t), w.storefront(t)
	for _, inner := range []backends.StorefrontID{id, other} {
		err := w.router.Update(context.Background(), id, func(ctx context.Context, _ backends.Tx) error {
			return w.router.Update(ctx, inner, func(context.Context, backends.Tx) error { return nil })
		})
		require.ErrorIs(t, err, backends.ErrNested)
	}
}

func TestNobodysStorefront(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	require.ErrorIs(t, w.visit(backends.StorefrontID(ids.New())), backends.ErrNoStorefront)
}

// TestLearningWhatIsKnownForgetsNobody: what is learned of a storefront that is known
// takes no other's room, however often.
func TestLearningWhatIsKnownForgetsNobody(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	w.router = backends.NewRouter(w.directory, w.stores, backends.RouterOptions{MaxCached: 2})
	moving, resting := w.storefront(t), w.storefront(t)
	for _, id := range []backends.StorefrontID{moving, resting} {
		_, err := w.router.Placement(ctx, id)
		require.NoError(t, err)
	}
	for epoch := range int64(100) {
		w.router.Learn(moving, backends.Placement{Place: place(moving), Epoch: 1 + epoch})
	}
	require.NoError(t, w.db.Close())
	_, err := w.router.Placement(ctx, resting)
	require.NoError(t, err, "it is remembered")
	now, err := w.router.Placement(ctx, moving)
	require.NoError(t, err)
	require.EqualValues(t, 100, now.Epoch)
}
