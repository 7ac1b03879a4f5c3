package sqlstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var background = context.Background()

func asking(verb string) ask { return ask{verb: verb, wait: time.Second} }

func give(t *testing.T, turns *Turns, a ask) func() {
	t.Helper()
	giveBack, err := turns.take(background, a)
	require.NoError(t, err)
	return giveBack
}

// TestTurnsComeInOrder: a hundred who wait are let in as they came, but one that may not
// wait for long is let in before them.
func TestTurnsComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns("the writer", 1, nil)
		giveBack := give(t, turns, asking("Update"))
		var order, want []int
		queue := func(number int, a ask) {
			go func() {
				giveBack, err := turns.take(background, a)
				if err == nil {
					order = append(order, number) // whoever has the turn is alone
					giveBack()
				}
			}()
			synctest.Wait()
		}
		for i := range 100 {
			queue(i, asking("Update"))
			want = append(want, i)
		}
		seal := asking("Change")
		seal.first = true
		queue(-1, seal)
		giveBack()
		synctest.Wait()
		require.Equal(t, append([]int{-1}, want...), order)
	})
}

// TestNoTurn: who waits in vain learns for what, how long, and who is in the way.
func TestNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns("the writer", 1, nil)
		giveBack := give(t, turns, asking("EndLoad"))
		time.Sleep(3 * time.Second)
		_, err := turns.take(background, asking("Update"))
		require.EqualError(t, err, "the writer did not become free in 1s; held longest by EndLoad, for 4s")

		ctx, cancel := context.WithCancelCause(background)
		gone := errors.New("the client is gone")
		cancel(gone)
		_, err = turns.take(ctx, asking("Update"))
		require.ErrorIs(t, err, gone)

		giveBack()
		giveBack() // once is enough
		give(t, turns, asking("Update"))()
	})
}

// TestTurnsWithinTurns: who is let into its own lane and finds the common one full leaves
// its own to others, and the time for both is one.
func TestTurnsWithinTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		common := NewTurns("one of the connections", 2, nil)
		share := NewTurns("one of the share", 1, common)
		mine := give(t, share, asking("View"))
		other := give(t, common, asking("View"))
		_, err := share.take(background, asking("View"))
		require.ErrorContains(t, err, "one of the share did not become free in 1s")

		patient := ask{verb: "View", wait: 2 * time.Second}
		stranger := make(chan func())
		go func() { stranger <- give(t, common, patient) }()
		synctest.Wait()
		last := make(chan error)
		go func() {
			_, err := share.take(background, patient)
			last <- err
		}()
		synctest.Wait()
		time.Sleep(time.Second)
		mine()
		more := <-stranger
		require.EqualError(t, <-last, "one of the connections did not become free in 1s; held longest by View, for 3s")
		other()
		more()
		give(t, share, asking("View"))()
	})
}

// TestAChangeWaitsForALongOne: to make a large table's index takes longer than anybody
// should wait for a lock.
func TestAChangeWaitsForALongOne(t *testing.T) {
	for _, mode := range []Mode{Change, Fill} {
		require.Greater(t, turnFor("Load", mode, 0).wait, 10*MoverWait)
		require.Equal(t, MoverWait, lockWait(mode, 0))
	}
	require.Equal(t, ask{verb: "Change", wait: time.Second, first: true}, turnFor("Change", Exclusive, time.Second))
	require.Equal(t, time.Millisecond, lockWait(Exclusive, -time.Second))
}
