package migration

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/database"
)

// damage overwrites all of a file's pages but the first.
func damage(t *testing.T, path string) {
	t.Helper()
	ctx := context.Background()
	db, err := database.OpenSQLite(ctx, path, database.SQLiteOptions{})
	require.NoError(t, err)
	_, err = db.Writer.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") // or its log would mend it
	require.NoError(t, err)
	require.NoError(t, db.Close())
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	const page = 4096
	_, err = file.WriteAt(bytes.Repeat([]byte{0x5a}, int(info.Size())-page), page)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

// rollbackFromDamage watches a move, damages one of its places, and asks for a rollback,
// which does not come about.
func (w *world) rollbackFromDamage(t *testing.T, backend, epoch, told string) (*instance, *Move) {
	t.Helper()
	i := w.instance(t, nil)
	i.runner.tolerance = time.Second
	id := i.storefront(t, 2000)
	m := start(t, i, id, Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	damage(t, w.file(backend, id, epoch))

	found := i.audited(t, m.ID)
	require.Positive(t, found.Findings)
	require.Contains(t, found.Found[0], told)
	ask(t, i, m.ID, WantRollback)
	require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.RollbackRefused != "" }, waitLong, waitStep)
	return i, get(t, i, m.ID)
}

// TestNewPlaceIsDamaged: nobody is told to erase the place that is sound.
func TestNewPlaceIsDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i, m := w.rollbackFromDamage(t, "two", "2", "the new place, on two, cannot be read, so do not finalize")
	require.Equal(t, newDamagedAdvice, m.Advice)
	ask(t, i, m.ID, WantFinalize)
	require.Eventually(t, func() bool { return get(t, i, m.ID).Intent == NoIntent }, waitLong, waitStep)
	m = get(t, i, m.ID)
	require.Equal(t, []any{Watching, newDamagedAdvice}, []any{m.Phase, m.Advice})
	require.Contains(t, m.Cause, NotFinalized+": the new place: ")
	for _, wait := range explainMove(m, nil, 100, time.Now().UnixMicro()) {
		require.NotContains(t, wait.Todo, "move finalize", "%s", wait.For)
	}
	require.FileExists(t, w.file("one", m.Storefront, "1"))
}

// TestOldPlaceIsDamaged: a comparison tells, a rollback is refused at once, and the move
// can be ended.
func TestOldPlaceIsDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i, m := w.rollbackFromDamage(t, "one", "1", "the old place, on one, cannot be read")
	require.Equal(t, Watching, m.Phase)
	require.Contains(t, m.Cause, "damaged")
	require.Contains(t, m.Advice, "inalize")
	i.requireAt(t, m.Storefront, "two", 2)
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
	require.NoError(t, i.runner.eraseLeft(context.Background()))
	require.NoFileExists(t, w.file("one", m.Storefront, "1"))
}

// TestWindowEndsOverADamagedPlace that nothing has read since: the old place, which is sound,
// is not erased.
func TestWindowEndsOverADamagedPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 2000)
	m := start(t, i, id, Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	i.runner.Stop()
	damage(t, w.file("two", id, "2"))
	i.endWindow(t, m.ID)
	i.runner.Start()
	require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.Audit != nil }, waitLong, waitStep)
	m = get(t, i, m.ID)
	require.Equal(t, Watching, m.Phase)
	require.Contains(t, m.Stats.Audit.Found[0], "the new place, on two, cannot be read, so do not finalize")
	require.FileExists(t, w.file("one", id, "1"))
}

// TestFinalizeOverDamageThatNobodyHasSeen does not erase the sound old place, also where
// the places were found to differ before.
func TestFinalizeOverDamageThatNobodyHasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 2000)
	m := start(t, i, id, Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	i.spoil(t, m.Source, "counters", "row-000007", nil)
	require.Positive(t, i.audited(t, m.ID).Findings)
	i.runner.Stop()
	damage(t, w.file("two", id, "2"))
	ask(t, i, m.ID, WantFinalize)
	i.runner.Start()
	require.Eventually(t, func() bool {
		a := get(t, i, m.ID).Stats.Audit
		return a.Unread && a.Damaged == "two"
	}, waitLong, waitStep)
	m = get(t, i, m.ID)
	require.Equal(t, []any{Watching, NoIntent, newDamagedAdvice}, []any{m.Phase, m.Intent, m.Advice})
	require.FileExists(t, w.file("one", id, "1"))
}

// TestFinalizeOverADamagedServer: a page of the new place's table cannot be read, which nobody
// has met. The sound old place is not erased.
func TestFinalizeOverADamagedServer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := startServer(t)
	w := newWorld(t)
	w.own.admin, w.own.app = server.AdminDSN(), server.DSN("postgres", "app")
	i := w.instance(t, nil)
	id := i.storefront(t, 2000)
	m := startTo(t, i, id, "own", Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	i.runner.Stop()

	db, err := sql.Open("postgres", server.AdminDSN())
	require.NoError(t, err)
	var table string // as the server's process knows it
	require.NoError(t, db.QueryRowContext(ctx, `SELECT replace(current_setting('data_directory'), 'self', pg_backend_pid()::text) || '/' || pg_relation_filepath('counters')`).Scan(&table))
	table, err = filepath.EvalSymlinks(table)
	require.NoError(t, err)
	_, err = db.ExecContext(ctx, `CHECKPOINT`) // or its log would mend it
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.NoError(t, server.Kill())
	file, err := os.OpenFile(table, os.O_RDWR, 0)
	require.NoError(t, err)
	const page = 8192
	_, err = file.WriteAt(bytes.Repeat([]byte{0x5a}, page), page) // the second one
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, server.Restart(ctx))

	ask(t, i, m.ID, WantFinalize)
	i.runner.Start()
	require.Eventually(t, func() bool {
		a := get(t, i, m.ID).Stats.Audit
		return a != nil && a.Unread && a.Damaged == "own"
	}, waitLong, waitStep)
	m = get(t, i, m.ID)
	require.Equal(t, []any{Watching, NoIntent, newDamagedAdvice}, []any{m.Phase, m.Intent, m.Advice})
	require.FileExists(t, w.file("one", id, "1"))
}
