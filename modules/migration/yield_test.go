package migration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
)

// knows starts an instance's runner anew as that of a program with so many migrations.
func (i *instance) knows(tenantMigrations int64) {
	i.runner.Stop()
	i.runner.tenantMigrations = tenantMigrations
	i.runner.Start()
}

// TestMovesMakeWayForANewerProgram: whether an older instance runs them or they are
// paused, and not those that have cut over.
func TestMovesMakeWayForANewerProgram(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	older := w.instance(t, nil)
	older.knows(1)
	over := startTo(t, older, older.storefront(t, 3), "two", Options{})
	older.waitFor(t, over.ID, Watching)
	waits := startTo(t, older, older.storefront(t, 3), "two", Options{ManualCutover: true})
	paused := startTo(t, older, older.storefront(t, 3), "two", Options{ManualCutover: true})
	for _, m := range []*Move{waits, paused} {
		require.Eventually(t, func() bool {
			got, err := older.service.Get(ctx, m.ID)
			return err == nil && got.Stats.VerifiedAt > 0
		}, waitLong, waitStep)
	}
	_, err := older.service.Ask(ctx, paused.ID, WantPause)
	require.NoError(t, err)
	older.waitFor(t, paused.ID, Paused)

	w.instance(t, nil).knows(2)
	for _, m := range []*Move{waits, paused} {
		got := older.waitFor(t, m.ID, Failed)
		require.Contains(t, got.Cause, "newer program")
		require.EqualValues(t, 1, got.TenantMigrations)
		older.requireAt(t, m.Storefront, "one", 1)
	}
	got, err := older.service.Get(ctx, over.ID)
	require.NoError(t, err)
	require.Equal(t, Watching, got.Phase)

	older.stop()
	again := w.instance(t, nil)
	again.knows(2)
	m := startTo(t, again, paused.Storefront, "two", Options{})
	again.waitFor(t, m.ID, Watching)
}

// TestWhatYieldsIsAskedNothingElse but is cancelled if it was told to before.
func TestWhatYieldsIsAskedNothingElse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	i.runner.Stop()
	i.runner.tenantMigrations = 2
	m := startTo(t, i, i.storefront(t, 3), "two", Options{})
	x := claimed(t, i, m.ID)
	require.NoError(t, x.enter(ctx, Copying, func(m *Move) { m.TenantMigrations = 1 }))
	require.NoError(t, i.runner.makeWay(ctx))
	_, err := i.service.Ask(ctx, m.ID, WantPause)
	require.ErrorContains(t, err, "yield")
	require.NoError(t, i.runner.makeWay(ctx))
	events, err := i.service.Events(ctx, m.ID, 0, 100)
	require.NoError(t, err)
	asked := 0
	for _, e := range events {
		if e.Kind == EventYield {
			asked++
		}
	}
	require.Equal(t, 1, asked)

	require.NoError(t, x.enter(ctx, Copying, func(m *Move) { m.Intent = WantCancel }))
	require.NoError(t, i.runner.makeWay(ctx))
	got, err := i.service.Get(ctx, m.ID)
	require.NoError(t, err)
	require.Equal(t, WantCancel, got.Intent)
}

// TestAMoveThatANewerProgramMustBegin is left to one for a while, as when servers are replaced one
// by one; where there is none, it fails and says why.
func TestAMoveThatANewerProgramMustBegin(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	older := w.instance(t, nil)
	older.runner.Stop()
	older.runner.tenantMigrations = 1
	for _, intent := range []Intent{NoIntent, WantCutover} {
		id, m := w.leftToNewer(t, older, intent)
		w.execute(t, id, `DELETE FROM goose_db_version WHERE version_id = 90`) // which the newer program knows
		newer := w.instance(t, nil)
		newer.knows(3) // and another one: it makes no move yield that has not begun
		newer.waitFor(t, m.ID, Watching)
		newer.runner.Stop()
	}

	_, m := w.leftToNewer(t, older, NoIntent)
	require.NoError(t, older.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE moves SET updated_at = updated_at - $2 WHERE id = $1`, m.ID, newerFirst.Microseconds())
		return err
	}))
	older.runner.Start()
	require.Contains(t, older.waitFor(t, m.ID, Failed).Cause, "was upgraded by a newer program than this one")
}

// leftToNewer is a move that an older program was to begin at a place of a newer one.
func (w *world) leftToNewer(t *testing.T, older *instance, intent Intent) (backends.StorefrontID, *Move) {
	t.Helper()
	ctx := context.Background()
	id := older.storefront(t, 3)
	w.execute(t, id, addNewer)
	m := startTo(t, older, id, "two", Options{})
	x := claimed(t, older, m.ID)
	require.NoError(t, x.enter(ctx, Preparing, func(m *Move) { m.TenantMigrations, m.Intent = 1, intent }))
	require.ErrorIs(t, x.step(ctx), errLost)
	free, err := readFree(ctx, older.db, 1, 0, 10)
	require.NoError(t, err)
	require.Empty(t, free)
	taken, err := older.runner.claim(ctx, m.ID)
	require.NoError(t, err)
	require.Nil(t, taken)
	return id, m
}
