package migration

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// lingering is a writer that has begun and does not end until it is let go.
func (i *instance) lingering(t *testing.T, id backends.StorefrontID) (letGo func()) {
	t.Helper()
	began, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- i.router.Update(context.Background(), id, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(addCounter, "lingering", 1)
			close(began)
			<-end
			return err
		})
	}()
	<-began
	return func() {
		close(end)
		require.NoError(t, <-done, "a writer is never killed")
	}
}

// entered counts how often a move entered a phase.
func (i *instance) entered(t *testing.T, move string, p Phase) (n int) {
	t.Helper()
	events, err := i.service.Events(context.Background(), move, 0, 1000)
	require.NoError(t, err)
	for _, e := range events {
		var data struct{ Phase Phase }
		require.NoError(t, json.Unmarshal([]byte(e.Data), &data))
		if e.Kind == "phase" && data.Phase == p {
			n++
		}
	}
	return n
}

// readyAt takes a move from backend shared to two as far as its cutover, which the
// test allows when somebody lingers.
func readyAt(t *testing.T, i *instance) (backends.StorefrontID, *Move) {
	t.Helper()
	id := i.storefront(t, 50)
	first := startTo(t, i, id, "shared", Options{})
	i.waitFor(t, first.ID, Watching)
	ask(t, i, first.ID, WantFinalize)
	i.waitFor(t, first.ID, Completed)
	m := start(t, i, id, Options{ManualCutover: true})
	i.waitFor(t, m.ID, Verifying)
	return id, m
}

// TestCutoverWaitsForALongWriter: short tries, again and again; what was verified
// need not be verified anew, and when the writer has ended the storefront moves.
func TestCutoverWaitsForALongWriter(t *testing.T) {
	t.Parallel()
	i := newWideWorld(t).instance(t, nil)
	id, m := readyAt(t, i)
	letGo := i.lingering(t, id)
	ask(t, i, m.ID, WantCutover)
	require.Eventually(t, func() bool { return i.entered(t, m.ID, CuttingOver) > 1 }, waitLong, waitStep)
	i.requireAt(t, id, "shared", 2)
	put(t, i, id, "others go on")
	letGo()
	i.waitFor(t, m.ID, Watching)
	require.Equal(t, 1, i.entered(t, m.ID, Verifying))
}

// TestCutoverGivesUp: after its tries the move says who is in the way, and harms nobody.
func TestCutoverGivesUp(t *testing.T) {
	t.Parallel()
	i := newWideWorld(t).instance(t, nil)
	i.runner.cutTries = 2
	id, m := readyAt(t, i)
	letGo := i.lingering(t, id)
	ask(t, i, m.ID, WantCutover)
	require.Eventually(t, func() bool {
		now, err := i.service.Get(context.Background(), m.ID)
		require.NoError(t, err)
		return now.Phase == Cancelling
	}, waitLong, waitStep)
	letGo() // what is left of the move waits for this writer, who may still record keys
	m = i.waitFor(t, m.ID, Failed)
	require.Contains(t, m.Cause, "writers did not end in time")
	require.Contains(t, m.Cause, "database process")
	i.requireAt(t, id, "shared", 2)
	put(t, i, id, "still open")
}

// TestTriesEndWhateverTheReason: what fails under seal again and again, for a reason that
// no program knows, ends a cutover, and a rollback, after its tries. Customers are served.
func TestTriesEndWhateverTheReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var broken atomic.Bool
	var tries atomic.Int64
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, beforeChange: func(to backends.Transition) error {
			if to.To != backends.Closed || !broken.Load() {
				return nil
			}
			tries.Add(1)
			return errors.New("the moon is in the way")
		}}
	}
	i := w.instance(t, nil)
	i.runner.cutTries = 2
	s := newScene(t, i, "one")
	broken.Store(true)
	m := i.waitFor(t, startTo(t, i, s.storefront, "two", Options{}).ID, Failed)
	require.Contains(t, m.Cause, "the moon")
	require.Contains(t, m.Advice, "is where it was")
	require.EqualValues(t, 2, tries.Swap(0))
	i.requireAt(t, s.storefront, "one", 1)
	f := fence(t, i, m.Source)
	require.Equal(t, backends.Fence{Epoch: 1, State: backends.Active, Gen: f.Gen}, f)
	s.put(i, hotCell)

	broken.Store(false)
	m = i.waitFor(t, startTo(t, i, s.storefront, "two", Options{}).ID, Watching)
	broken.Store(true)
	ask(t, i, m.ID, WantRollback)
	require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.RollbackRefused != "" }, waitLong, waitStep)
	m = get(t, i, m.ID)
	require.Equal(t, Watching, m.Phase)
	require.Contains(t, m.Cause, "the moon")
	require.Contains(t, m.Advice, "End what is in the way, then ask for the rollback again")
	require.EqualValues(t, 2, tries.Load())
	i.requireAt(t, s.storefront, "two", 2)
	s.put(i, hotCell)

	broken.Store(false)
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
	s.put(i, slowCell)
	require.NoError(t, s.verdict(i.router))
}
