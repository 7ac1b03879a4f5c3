package backends_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/storetest"
	"smartseller/migrations"
	"smartseller/platform/control"
	"smartseller/platform/database"
	"smartseller/platform/ids"
)

// older founds a storefront in a place that lacks the newest migration.
func (w *world) older(t *testing.T) backends.StorefrontID {
	t.Helper()
	ctx := context.Background()
	id := backends.StorefrontID(ids.New())
	require.NoError(t, os.MkdirAll(filepath.Dir(w.file(id)), 0o700))
	files, err := migrations.Tenant(migrations.SQLite)
	require.NoError(t, err)
	db, err := database.OpenSQLite(ctx, w.file(id), database.SQLiteOptions{Create: true})
	require.NoError(t, err)
	require.NoError(t, database.Migrate(ctx, db.Writer, goose.DialectSQLite3, storetest.Older(t, files)))
	_, err = db.Writer.ExecContext(ctx, `INSERT INTO fence (storefront_id, id, epoch, state, capture, move_id, gen) VALUES (?, 'fence', 1, 'active', 0, '', 0)`, string(id))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	w.settle(t, id)
	return id
}

// execute runs statements in a storefront's file, as nobody of ours would.
func (w *world) execute(t *testing.T, id backends.StorefrontID, text string) {
	t.Helper()
	db, err := database.OpenSQLite(context.Background(), w.file(id), database.SQLiteOptions{})
	require.NoError(t, err)
	_, err = db.Writer.ExecContext(context.Background(), text)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func (w *world) schema(t *testing.T, id backends.StorefrontID) database.Schema {
	t.Helper()
	store, release, err := w.stores.Acquire(context.Background(), place(id))
	require.NoError(t, err)
	defer release()
	schema, err := store.Schema(context.Background())
	require.NoError(t, err)
	return schema
}

// visitPatiently comes again as long as it is told that an upgrade is under way.
func (w *world) visitPatiently(id backends.StorefrontID) error {
	for {
		if err := w.visit(id); !errors.Is(err, backends.ErrUpgrading) {
			return err
		}
	}
}

// TestPlaceBehindIsUpgradedWhenOpened: once, for all who come at the same time.
func TestPlaceBehindIsUpgradedWhenOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	id := w.older(t)
	require.Equal(t, 1, w.schema(t, id).Pending)
	const visitors = 20
	errs := make([]error, visitors)
	var all sync.WaitGroup
	for i := range visitors {
		all.Go(func() { errs[i] = w.visitPatiently(id) })
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Zero(t, w.schema(t, id).Pending)
	n, err := w.visits(id)
	require.NoError(t, err)
	require.EqualValues(t, visitors, n)
}

// TestPlaceBehindIsRefused: by configuration, until somebody upgrades it.
func TestPlaceBehindIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.stores.RefuseBehind()
	id := w.older(t)
	err := w.visit(id)
	require.ErrorIs(t, err, backends.ErrOutdated)
	require.ErrorContains(t, err, "1 migrations behind")
	require.Equal(t, 1, w.schema(t, id).Pending)
	require.NoError(t, w.directory.Upgrade(context.Background(), place(id), ""))
	require.NoError(t, w.visit(id))
}

// TestMigrationThatFails: the place stays as it was, requests are refused, and the
// error names the migration and no statement. The cause removed, the place is well.
func TestMigrationThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	id := w.older(t)
	w.execute(t, id, `CREATE TRIGGER mine BEFORE INSERT ON goose_db_version BEGIN SELECT RAISE(ABORT, 'it is mine'); END`)
	before := w.schema(t, id)
	err := w.visitPatiently(id)
	require.ErrorIs(t, err, backends.ErrOutdated)
	var failed *database.MigrationError
	require.ErrorAs(t, err, &failed)
	require.EqualValues(t, before.Newest, failed.Version)
	require.Equal(t, fmt.Sprintf("migration %d failed and changed nothing: it is mine", before.Newest), failed.Error())
	require.Equal(t, before, w.schema(t, id), "no half of it stays")
	w.execute(t, id, `DROP TRIGGER mine`)
	require.NoError(t, w.visitPatiently(id))
}

// TestPlaceOfANewerProgram: one that only added is served, one that took away is refused,
// and none is upgraded.
func TestPlaceOfANewerProgram(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	id := w.storefront(t)
	w.execute(t, id, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (90, 1); ALTER TABLE counters ADD COLUMN colour TEXT`)
	require.NoError(t, w.visit(id))
	require.ErrorIs(t, w.directory.Upgrade(ctx, place(id), ""), backends.ErrNewerSchema)

	w.stores.Drop(place(id))
	w.execute(t, id, `ALTER TABLE counters RENAME COLUMN value TO amount`)
	err := w.visit(id)
	require.ErrorIs(t, err, backends.ErrOutdated)
	require.ErrorContains(t, err, "counters.value")
}

// TestPlaceBehindInAMove: as long as a move needs both places to keep their schema, the
// storefront is not upgraded, unless it is that very move which asks.
func TestPlaceBehindInAMove(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	id := w.older(t)
	move := ids.New()
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`INSERT INTO moves (id, storefront_id, source_backend, source_made_at_epoch, target_backend, target_made_at_epoch, source_epoch,
			phase, resume_phase, cut, intent, gen, owner, lease_until, options, stats, cause, advice, receipt, requested_by, reason, created_at, updated_at)
			VALUES ($1, $2, 'files', 1, 'elsewhere', 2, 1, 'copying', '', '', '', 0, '', 0, '{}', '{}', '', '', '', '', '', 0, 0)`, move, string(id))
		return err
	}))
	err := w.visit(id)
	require.ErrorIs(t, err, backends.ErrOutdated)
	require.ErrorIs(t, err, backends.ErrPlaceMoving)
	require.ErrorContains(t, err, move)
	require.Equal(t, 1, w.schema(t, id).Pending)
	require.NoError(t, w.stores.Fit(ctx, place(id), move))
	require.NoError(t, w.visit(id))
}
