package seller

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
)

const toys = backends.StorefrontID("toys")

// desk is the service on a control database of its own, where nothing moves by itself.
type desk struct {
	*Service
	t *testing.T
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskOn(t, controltest.Open(t))
}

func newDeskOn(t *testing.T, db *control.DB) *desk {
	t.Helper()
	keys, err := crypto.New(make([]byte, crypto.MasterKeySize))
	require.NoError(t, err)
	catalog, err := backends.NewCatalog()
	require.NoError(t, err)
	directory := backends.NewDirectory(db, keys, catalog, nil)
	stores := backends.NewStores(directory, 1)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	runner := migration.NewRunner(migration.RunnerOptions{
		DB: db, Directory: directory, Stores: stores, Router: backends.NewRouter(directory, stores, backends.RouterOptions{}), Keys: keys, Log: slog.New(slog.DiscardHandler),
	})
	d := &desk{NewService(db, migration.NewService(db, directory, stores, runner), planning.NewService(db, directory)), t}
	d.exec(`INSERT INTO storefronts (id, slug, name, currency, time_zone, status, settings, created_at, updated_at, version) VALUES ($1, $1, 'Toys', 'EUR', 'UTC', 'active', '{}', 0, 0, 1)`, string(toys))
	return d
}

func (d *desk) exec(text string, args ...any) {
	d.t.Helper()
	require.NoError(d.t, d.db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(text, args...)
		return err
	}))
}

// moved notes a move that is open, or (an end) has ended.
func (d *desk) moved(id string, phase migration.Phase, intent migration.Intent, end any) {
	d.t.Helper()
	d.exec(`INSERT INTO moves (id, storefront_id, source_backend, source_made_at_epoch, target_backend, target_made_at_epoch, source_epoch,
		phase, resume_phase, cut, intent, gen, owner, lease_until, options, stats, cause, advice, receipt, requested_by, reason, created_at, updated_at, ended_at)
		VALUES ($1, $2, 'one', 1, 'two', 2, 1, $3, '', '', $4, 0, '', 0, '{}', '{}', '', '', '', '', '', 0, 0, $5)`, id, string(toys), string(phase), string(intent), end)
}

// plan notes a plan that is carried out, with one move in a state.
func (d *desk) plan(state, move string) {
	d.t.Helper()
	d.exec(`INSERT INTO plans (id, state, options, policy, reason, cause, forgiven, left_out, requested_by, approved_by, created_at, updated_at)
		VALUES ('p', 'running', '{}', '', '', '', 0, 0, '', '', 0, 0)`)
	d.exec(`INSERT INTO plan_moves (plan_id, seq, wave, storefront_id, source, target, reason, row_count, byte_count, state, move_id, cause, waits, moved_at, updated_at)
		VALUES ('p', 1, 0, $1, 'one', 'two', '', 0, 0, $2, $3, '', '', 0, 0)`, string(toys), state, move)
}

// TestPagesHaveNoMoreThanTheirLimit, the first one too, on which what is planned is on top; no
// move is left out between two pages.
func TestPagesHaveNoMoreThanTheirLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		planned bool
		limit   int
		want    [][]string // pages of ids, "": the planned one
	}{
		{true, 1, [][]string{{""}, {"m3"}, {"m2"}, {"m1"}, nil}},
		{true, 2, [][]string{{"", "m3"}, {"m2", "m1"}, nil}},
		{true, 3, [][]string{{"", "m3", "m2"}, {"m1"}}},
		{true, 5, [][]string{{"", "m3", "m2", "m1"}}},
		{false, 2, [][]string{{"m3", "m2"}, {"m1"}}},
	} {
		d := newDesk(t)
		for _, id := range []string{"m1", "m2", "m3"} {
			d.moved(id, migration.Completed, migration.NoIntent, 1)
		}
		if c.planned {
			d.plan("waiting", "")
		}
		var pages [][]string
		for cursor, more := "", true; more; more = cursor != "" {
			found, next, err := d.Moves(context.Background(), toys, cursor, c.limit)
			require.NoError(t, err)
			var page []string
			for _, m := range found {
				page = append(page, m.ID)
			}
			pages, cursor = append(pages, page), next
		}
		require.Equal(t, c.want, pages, "%+v", c)
	}
}

// TestWhoWentBackHasNotMoved: neither behind a rollback nor behind a drill.
func TestWhoWentBackHasNotMoved(t *testing.T) {
	t.Parallel()
	const there, back = `{"committed_at": 7}`, `{"committed_at": 7, "back_at": 9}`
	for _, c := range []struct {
		phase migration.Phase
		stats string
		state State
		moved int64
	}{
		{migration.Verifying, `{}`, UnderWay, 0},
		{migration.Watching, there, Moved, 7},
		{migration.Completed, there, Done, 7},
		{migration.RollingBack, there, UnderWay, 7}, // it serves there until that is decided
		{migration.RollingBack, back, UnderWay, 0},
		{migration.RolledBack, back, NotMoved, 0},
	} {
		d := newDesk(t)
		d.moved("m1", c.phase, migration.NoIntent, map[bool]any{true: 9, false: nil}[c.state == Done || c.state == NotMoved])
		d.exec(`UPDATE moves SET stats = $1`, c.stats)
		m, err := d.Move(context.Background(), toys, "m1")
		require.NoError(t, err)
		require.Equal(t, c.state, m.State)
		require.Equal(t, c.moved, m.MovedAt, "%+v", c)
	}
}

// TestAskTakesTheWordBackForNowAlone: a wish for next month is no reason to stop tonight's move.
func TestAskTakesTheWordBackForNowAlone(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		from time.Time
		left migration.Intent
	}{
		"from now on":    {time.Time{}, migration.NoIntent},
		"since a while":  {now.Add(-time.Hour), migration.NoIntent},
		"for next month": {now.AddDate(0, 0, 30), migration.WantCutover},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.moved("m1", migration.Verifying, migration.WantCutover, nil)
			d.plan("moving", "m1")
			n, err := d.Ask(context.Background(), toys, NotNow{From: c.from, Until: now.AddDate(0, 0, 31)})
			require.NoError(t, err)
			kept, err := d.NotNows(context.Background(), toys)
			require.NoError(t, err)
			require.Equal(t, []NotNow{n}, kept, "the wish is noted, whenever it begins")
			m, err := d.moves.Get(context.Background(), "m1")
			require.NoError(t, err)
			require.Equal(t, c.left, m.Intent)
		})
	}
}
