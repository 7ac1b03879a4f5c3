package auth

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// queue is a gate with one slot, which is taken, and room for four.
type queue struct {
	*gate
	t    *testing.T
	free func()
	note sync.Mutex
	in   []backends.StorefrontID // in the order in which they came in
	out  []backends.StorefrontID // who was sent away
}

func newQueue(t *testing.T) *queue {
	q := &queue{gate: newGate(1, 4), t: t}
	var err error
	q.free, err = q.enter(context.Background(), "first")
	require.NoError(t, err)
	return q
}

// come lets somebody wait; whoever comes in leaves at once.
func (q *queue) come(ctx context.Context, of ...backends.StorefrontID) {
	for _, o := range of {
		go func() {
			leave, err := q.enter(ctx, o)
			q.note.Lock()
			defer q.note.Unlock()
			if err != nil {
				q.out = append(q.out, o)
				return
			}
			q.in = append(q.in, o)
			leave()
		}()
		synctest.Wait()
	}
}

// TestStorefrontsTakeTurns: also one that comes behind a crowd at another.
func TestStorefrontsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		q.come(context.Background(), "a", "a", "b", "c")
		q.free()
		synctest.Wait()
		require.Equal(t, []backends.StorefrontID{"a", "b", "c", "a"}, q.in)
		require.Empty(t, q.out)
		q.idle()
	})
}

// TestCrowdAloneMayFillTheQueue, and makes room, but no more than half, for others.
func TestCrowdAloneMayFillTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		q.come(context.Background(), "a", "a", "a", "a")
		require.Empty(t, q.out)
		q.come(context.Background(), "a")
		require.Equal(t, []backends.StorefrontID{"a"}, q.out, "it is full")
		q.come(context.Background(), "b", "c")
		require.Equal(t, []backends.StorefrontID{"a", "a", "a"}, q.out)
		q.come(context.Background(), "d", "a")
		require.Equal(t, []backends.StorefrontID{"a", "a", "a", "d", "a"}, q.out, "nobody has more than half")
		q.free()
		synctest.Wait()
		require.Equal(t, []backends.StorefrontID{"a", "b", "c", "a"}, q.in)
		q.idle()
	})
}

// TestNobodyWaitsForEver, and whoever leaves makes room.
func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		ctx, leave := context.WithCancel(context.Background())
		q.come(ctx, "a", "a")
		leave()
		synctest.Wait()
		require.Equal(t, []backends.StorefrontID{"a", "a"}, q.out)
		told := make(chan error, 1)
		go func() {
			_, err := q.enter(context.Background(), "b")
			told <- err
		}()
		require.ErrorIs(t, <-told, errBusy) // two seconds later, by the bubble's clock
		q.free()
		q.idle()
	})
}

// idle expects the gate to be as it was at first.
func (q *queue) idle() {
	q.t.Helper()
	require.Equal(q.t, []int{1, 0, 0}, []int{q.gate.free, q.waiting, len(q.lines)})
}
