package migration

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/database"
)

// executeAt runs a statement in the file of a place.
func (w *world) executeAt(t *testing.T, p backends.Place, text string) {
	t.Helper()
	ctx := context.Background()
	db, err := database.OpenSQLite(ctx, filepath.Join(w.folder, p.Backend, string(p.Storefront), fmt.Sprintf("%d.db", p.Epoch)), database.SQLiteOptions{})
	require.NoError(t, err)
	_, err = db.Writer.ExecContext(ctx, text)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// TestOlderWatcherForgetsNothingThatANewerProgramWrote: it would bring rows back without
// what it does not know of. A newer one takes the move from it for good.
func TestOlderWatcherForgetsNothingThatANewerProgramWrote(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	older := w.instance(t, nil)
	older.knows(1)
	s := newScene(t, older, "one")
	m := startTo(t, older, s.storefront, "two", Options{})
	older.waitFor(t, m.ID, Watching)
	w.executeAt(t, m.Target, addNewer)
	s.put(older, hotCell)
	claims := countEvents(t, older, m.ID, "claimed")
	require.Eventually(t, func() bool { return countEvents(t, older, m.ID, "claimed") > claims+1 }, waitLong, waitStep, "it gives the move up, again and again: %v", story{older, m.ID})
	target, release, err := older.stores.Acquire(ctx, m.Target)
	require.NoError(t, err)
	defer release()
	left, err := target.Backlog(ctx)
	require.NoError(t, err)
	require.NotZero(t, left)

	newer := w.instance(t, nil)
	newer.knows(2)
	require.Eventually(t, func() bool { return get(t, newer, m.ID).TenantMigrations == 2 }, waitLong, waitStep)
	newer.stop()
	require.NoError(t, older.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE moves SET lease_until = 0 WHERE id = $1`, m.ID)
		return err
	}))
	got, err := older.runner.claim(ctx, m.ID)
	require.NoError(t, err)
	require.Nil(t, got)
	found, err := older.runner.free(ctx)
	require.NoError(t, err)
	require.Empty(t, found)
}

// TestOlderProgramOpensWhatANewerOneSealed: customers wait, and perhaps nobody else is there.
func TestOlderProgramOpensWhatANewerOneSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newer := w.instance(t, func(_ context.Context, point string) error {
		if point == "K10" {
			return errCrash
		}
		return nil
	})
	newer.knows(2)
	s := newScene(t, newer, "one")
	m := startTo(t, newer, s.storefront, "two", Options{})
	require.Eventually(t, func() bool { return fence(t, newer, m.Source).State == backends.Sealed }, waitLong, waitStep)
	newer.runner.Stop()
	require.Equal(t, backends.Sealed, fence(t, newer, m.Source).State)
	older := w.instance(t, nil)
	older.knows(1)
	older.waitFor(t, m.ID, Watching)
	s.put(older, hotCell)
	require.NoError(t, s.verdict(older.router))
}

// TestRollbackThatWasPromised is not passed over by the end of the window.
func TestRollbackThatWasPromised(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	m := startTo(t, i, i.storefront(t, 3), "two", Options{})
	i.waitFor(t, m.ID, Watching)
	i.runner.Stop()
	x := claimed(t, i, m.ID)
	ask(t, i, m.ID, WantRollback)
	closed, err := x.closeNow(ctx)
	require.NoError(t, err)
	require.False(t, closed)
	require.Equal(t, WantRollback, x.intent.Load())
	require.Equal(t, Watching, get(t, i, m.ID).Phase)
}
