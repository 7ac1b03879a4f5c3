package backends

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestParkedShareLooks: however many wait, one of them asks the control database at a
// time, and nobody is told what was found before it asked.
func TestParkedShareLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun, answers := make(chan struct{}, 10), make(chan int64)
		p := newParking(func(context.Context) (Placement, error) {
			begun <- struct{}{}
			return Placement{Epoch: <-answers}, nil
		})
		var asking sync.WaitGroup
		ask := func(n int, want int64) {
			for range n {
				asking.Go(func() {
					found, err := p.placement(t.Context(), time.Hour)
					if err != nil || found.Epoch != want {
						t.Error(found, err)
					}
				})
			}
			synctest.Wait()
		}
		ask(1, 1)
		ask(1000, 2) // the look under way may have come before what they met
		require.Len(t, begun, 1)
		answers <- 1
		answers <- 2
		asking.Wait()
		require.Len(t, begun, 2)

		ask(1, 3)
		_, err := p.placement(t.Context(), time.Second)
		require.ErrorIs(t, err, errSlowLook)
		answers <- 3
		asking.Wait()
		require.Len(t, begun, 3)
		time.Sleep(2 * placementEvery) // nobody asks any more
		synctest.Wait()
		require.False(t, p.looking)
	})
}

// TestLearningWakesWhoWaits: also where it is known already that the storefront is
// there; that it opened is the news.
func TestLearningWakesWhoWaits(t *testing.T) {
	t.Parallel()
	r := NewRouter(nil, nil, RouterOptions{MaxParked: 1})
	moved := Placement{Place: Place{Backend: "new", Storefront: "shop", Epoch: 2}, Epoch: 2}
	r.learn("shop", moved)
	lot := r.park("shop")
	require.NotNil(t, lot)
	require.Nil(t, r.park("shop"))
	woken := lot.changes()
	r.Learn("shop", moved)
	<-woken
	select {
	case <-lot.changes():
		t.Fatal("who waits again must wait for what comes next")
	default:
	}
	r.unpark("shop")
	require.Zero(t, r.Parked("shop"))
	r.Learn("shop", moved) // nobody is there any more
}
