package migration

import (
	"context"
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/migrations"
)

// execute runs a statement in a storefront's file on backend one.
func (w *world) execute(t *testing.T, id backends.StorefrontID, text string) {
	t.Helper()
	w.executeAt(t, backends.Place{Backend: "one", Storefront: id, Epoch: 1}, text)
}

const (
	forgetNewest = `UPDATE goose_db_version SET version_id = -version_id WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`
	recallNewest = `UPDATE goose_db_version SET version_id = -version_id WHERE version_id < 0`
	addNewer     = `INSERT INTO goose_db_version (version_id, is_applied) VALUES (90, 1)`
)

// TestMoveMeetsAnotherSchema: whoever takes over a move that another version of the
// program began, and whose places are not as it knows them, ends it before the commit
// point and lets the storefront serve on.
func TestMoveMeetsAnotherSchema(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, mend, cause string }{
		"an older program began it": {forgetNewest, recallNewest, "must be upgraded before this one can go on"},
		"a newer program was there": {addNewer, `DELETE FROM goose_db_version WHERE version_id = 90`, "upgraded by a newer program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			w := newWorld(t)
			i := w.instance(t, nil)
			storefront := i.storefront(t, 3)
			i.runner.Stop()
			two, err := i.directory.Backend(ctx, "two")
			require.NoError(t, err)
			require.NoError(t, two.Ping(ctx))
			m, err := i.service.Start(ctx, Request{Storefront: storefront, Target: "two"})
			require.NoError(t, err)
			first := claimed(t, i, m.ID)
			require.NoError(t, first.enter(ctx, Preparing))
			require.NoError(t, first.step(ctx))
			require.Equal(t, Copying, first.m.Phase)

			w.execute(t, storefront, c.change)
			next := claimed(t, i, m.ID)
			err = next.step(ctx)
			require.ErrorContains(t, err, c.cause)
			require.True(t, next.hopeless(err))
			require.NoError(t, next.fail(ctx, err))
			require.Equal(t, Cancelling, next.m.Phase)
			w.execute(t, storefront, c.mend) // what an upgrade, or a newer program, would do
			require.NoError(t, next.step(ctx))
			require.Equal(t, Failed, next.m.Phase)
			require.Contains(t, next.m.Cause, c.cause)
			i.requireAt(t, storefront, "one", 1)
			i.runner.Start()
			m, err = i.service.Start(ctx, Request{Storefront: storefront, Target: "two"})
			require.NoError(t, err)
			i.waitFor(t, m.ID, Watching)
		})
	}
}

// TestNewerPlaceIsLeftToANewerProgram: this one would undo a move without what it does
// not know.
func TestNewerPlaceIsLeftToANewerProgram(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	i := w.instance(t, nil)
	storefront := i.storefront(t, 3)
	i.runner.Stop()
	two, err := i.directory.Backend(ctx, "two")
	require.NoError(t, err)
	require.NoError(t, two.Ping(ctx))
	m, err := i.service.Start(ctx, Request{Storefront: storefront, Target: "two"})
	require.NoError(t, err)
	x := claimed(t, i, m.ID)
	require.NoError(t, x.enter(ctx, Preparing))
	require.NoError(t, x.step(ctx))
	require.Equal(t, Copying, x.m.Phase)
	require.NoError(t, x.enter(ctx, Cancelling))
	w.execute(t, storefront, addNewer) // the source is given back as it is
	w.executeAt(t, m.Target, addNewer)
	require.ErrorIs(t, x.step(ctx), errLost)
	w.executeAt(t, m.Target, `DELETE FROM goose_db_version WHERE version_id = 90`)
	require.NoError(t, x.step(ctx))
	require.Equal(t, Cancelled, x.m.Phase)
}

// TestFinalizeAnUnfitOldPlace: it is not to serve again, and does not hold up the
// storefront's next move.
func TestFinalizeAnUnfitOldPlace(t *testing.T) {
	t.Parallel()
	const behind = `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version);
		CREATE INDEX captured_keys_table ON captured_keys (storefront_id, table_name, id);
		ALTER TABLE counters RENAME COLUMN value TO before`
	for name, c := range map[string]struct{ change, changeNew, left string }{
		"that cannot be upgraded":                         {forgetNewest, "", ""},
		"that cannot be upgraded, nor can the new one be": {forgetNewest, behind, ""},
		"that lacks a table":                              {"DROP TABLE counters", "", "one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			i := w.instance(t, nil)
			i.runner.tolerance = time.Second
			id := i.storefront(t, 3)
			m := start(t, i, id, Options{WindowSeconds: 3600})
			i.waitFor(t, m.ID, Watching)
			i.runner.Stop()
			w.execute(t, id, c.change)
			if c.changeNew != "" { // which waits for the old one
				w.executeAt(t, m.Target, c.changeNew)
			}
			ask(t, i, m.ID, WantFinalize)
			i.runner.Start()
			m = i.waitFor(t, m.ID, Completed)
			require.Equal(t, c.left, m.LeftBehind)
			if c.left == "" {
				require.NoFileExists(t, w.file("one", id, "1"))
			}
			i.requireAt(t, id, "two", 2)
		})
	}
}

// fallBehind takes the newest migration of the world's own database back, as far as its
// table says; it can be made twice.
func (w *world) fallBehind(t *testing.T) {
	t.Helper()
	db, err := sql.Open("postgres", w.own.admin)
	require.NoError(t, err)
	_, err = db.ExecContext(context.Background(), `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// TestPreparingWaitsForTheMoveInTheWay: a move's source is in a shared database that is
// behind, and that must stay so for another move. It waits for the end of that one, for
// however long, and then upgrades the database and goes on.
func TestPreparingWaitsForTheMoveInTheWay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t).ownDatabase(t)
	var tries atomic.Int64
	i := w.instance(t, func(_ context.Context, point string) error {
		if point == string(Preparing) {
			tries.Add(1)
		}
		return nil
	})
	s, neighbour := newScene(t, i, "own"), newScene(t, i, "own")
	other := neighbour.ready(i, "two")
	ask(t, i, other.ID, WantPause)
	i.waitFor(t, other.ID, Paused)
	w.fallBehind(t)
	own, err := i.directory.Backend(ctx, "own")
	require.NoError(t, err)
	pending := func() int {
		schema, err := own.Schema(ctx, other.Source)
		require.NoError(t, err)
		return schema.Pending
	}

	i.runner.Stop()
	i.runner.tolerance = 500 * time.Millisecond
	i.runner.Start()
	tries.Store(0)
	m := startTo(t, i, s.storefront, "two", Options{})
	require.Eventually(t, func() bool { return tries.Load() > 4 || get(t, i, m.ID).Cause != "" }, waitLong, waitStep, "it tries for longer than a place may be away: %v", story{i, m.ID})
	require.Equal(t, Preparing, get(t, i, m.ID).Phase)
	require.Equal(t, 1, pending())
	s.put(i, hotCell)
	i.explains(t, m.ID, Preparing, "trouble", other.ID)
	ask(t, i, m.ID, WantCancel)
	i.waitFor(t, m.ID, Cancelled)
	require.Equal(t, 1, pending())

	m = startTo(t, i, s.storefront, "two", Options{})
	ask(t, i, other.ID, WantCancel)
	i.waitFor(t, other.ID, Cancelled)
	s.judge(i, m.ID)
	require.Zero(t, pending())
}

// TestMovesFromADatabaseThatIsBehind do not wait for each other, nor do requests for them:
// each upgrades the database before it begins.
func TestMovesFromADatabaseThatIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t).ownDatabase(t)
	i := w.instance(t, nil)
	known, err := migrations.CountTenant()
	require.NoError(t, err)
	i.knows(int64(known))
	there := []scene{newScene(t, i, "own"), newScene(t, i, "own"), newScene(t, i, "own")}
	i.runner.Stop()
	w.fallBehind(t)
	other := w.instance(t, nil) // which has not opened the database before
	other.runner.Stop()
	var moves []*Move
	for _, s := range there {
		m := startTo(t, i, s.storefront, "two", Options{})
		x := claimed(t, i, m.ID)
		require.NoError(t, x.enter(context.Background(), Preparing, func(m *Move) { m.TenantMigrations = int64(known) }))
		x.handBack(context.Background())
		moves = append(moves, m)
	}
	there[0].put(other, hotCell)
	w.fallBehind(t)
	i.runner.Start()
	for n, m := range moves {
		there[n].judge(i, m.ID)
	}
}
