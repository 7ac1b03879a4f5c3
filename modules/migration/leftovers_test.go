package migration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
)

// TestAPlaceThatWasLeftStaysClosed: an owner that was stopped for long takes a completed move's
// source for one that was given up. It must not open it again.
func TestAPlaceThatWasLeftStaysClosed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 3)
	m := start(t, i, id, Options{})
	i.waitFor(t, m.ID, Watching)
	i.runner.Stop()
	m = get(t, i, m.ID)
	old := i.store(t, m.Source)
	f, err := old.Fence(ctx)
	require.NoError(t, err)
	require.NoError(t, old.Change(ctx, m.token(), backends.Transition{From: []backends.State{f.State}, To: backends.Closed}))
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error { // as if it had been away since the commit point
		_, err := tx.Exec(`UPDATE moves SET phase = 'completed', ended_at = $2, left_behind = $3 WHERE id = $1`, m.ID, tx.Now(), m.Source.Backend)
		return err
	}))

	late := &run{Runner: i.runner, m: m, token: backends.Token{Move: m.ID, Gen: m.Gen - 1}}
	require.ErrorIs(t, late.freeSource(ctx), backends.ErrNotEmpty)
	f, err = old.Fence(ctx)
	require.NoError(t, err)
	require.Equal(t, backends.Closed, f.State)
}

// TestATargetMadeTooLate: an owner that was stopped while it made the target wakes when the move is
// completed and the storefront has left that place. Another move goes there nevertheless.
func TestATargetMadeTooLate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWideWorld(t).instance(t, nil)
	id := i.storefront(t, 3)
	first := startTo(t, i, id, "shared", Options{})
	i.waitFor(t, first.ID, Watching)
	ask(t, i, first.ID, WantFinalize)
	first = i.waitFor(t, first.ID, Completed)
	second := startTo(t, i, id, "one", Options{})
	i.waitFor(t, second.ID, Watching)
	ask(t, i, second.ID, WantFinalize)
	i.waitFor(t, second.ID, Completed)
	require.NoError(t, i.store(t, first.Target).Install(ctx, first.token(), first.TargetEpoch()))

	third := startTo(t, i, id, "shared", Options{})
	i.waitFor(t, third.ID, Watching)
}

// TestARowThatIsGoneAheadOfTheCopy: a target whose server lost chunks may have a row that was
// applied behind them. When it is gone at the source, it goes at the target, wherever the copy is.
func TestARowThatIsGoneAheadOfTheCopy(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 3)
	m := start(t, i, id, Options{ManualCutover: true})
	i.waitFor(t, m.ID, Verifying)
	ask(t, i, m.ID, WantPause)
	m = i.waitFor(t, m.ID, Paused)
	require.NoError(t, i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(dropOne, "row-000002")
		return err
	}))
	x := &run{Runner: i.runner, m: m, token: m.token(), source: i.store(t, m.Source), target: i.store(t, m.Target)}
	require.NoError(t, x.drainTable(ctx, backends.Progress{Table: "counters", Through: "row-999999"}))
	key := backends.Key{Table: "counters", ID: "row-000002"}
	require.NoError(t, x.target.Read(ctx, func(r backends.Reader) error {
		rows, err := r.Rows([]backends.Key{key})
		require.Empty(t, rows)
		return err
	}))
}
