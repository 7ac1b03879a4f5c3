package backends

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLearningWakesWhoWaits: also where it is known already that the storefront is
// there; that it opened is the news.
func TestLearningWakesWhoWaits(t *testing.T) {
	t.Parallel()
	r := NewRouter(nil, nil, RouterOptions{MaxParked: 1})
	moved := Placement{Place: Place{Backend: "new", Storefront: "shop", Epoch: 2}, Epoch: 2}
	r.learn("shop", moved)
	woken, ok := r.park("shop")
	require.True(t, ok)
	_, ok = r.park("shop")
	require.False(t, ok)
	r.Learn("shop", moved)
	<-woken
	select {
	case <-r.wake("shop"):
		t.Fatal("who waits again must wait for what comes next")
	default:
	}
	r.unpark("shop")
	require.Zero(t, r.Parked("shop"))
	r.Learn("shop", moved) // nobody is there any more
}
