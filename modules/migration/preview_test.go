package migration

import (
	"context"
	"database/sql"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestDryRunFindsWhatFails: what ends a move before its first row is copied, a dry run
// has found; what does not, it does not hold against it.
func TestDryRunFindsWhatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target, finding, problem string
		spoil                    func(*testing.T, *world, *instance, backends.StorefrontID)
	}{
		"all is well":                  {"two", "", "", func(*testing.T, *world, *instance, backends.StorefrontID) {}},
		"all is well, at a shared one": {"shared", "", "", func(*testing.T, *world, *instance, backends.StorefrontID) {}},
		"a column that nobody declared": {"two", "schema of the source", "counters has surprise, which nobody declared", func(t *testing.T, w *world, _ *instance, id backends.StorefrontID) {
			w.execute(t, id, `ALTER TABLE counters ADD COLUMN surprise INTEGER`)
		}},
		"a newer program was there": {"two", "schema of the source", "newer program", func(t *testing.T, w *world, _ *instance, id backends.StorefrontID) {
			w.execute(t, id, addNewer)
		}},
		"somebody's fence": {"shared", "target empty", "already holds rows of this storefront: its fence is active at epoch 7", func(t *testing.T, _ *world, i *instance, id backends.StorefrontID) {
			require.NoError(t, i.store(t, backends.Place{Backend: "shared", Storefront: id, Epoch: 7}).Found(context.Background(), 7))
		}},
		"what a backup brought back": {"shared", "target empty", "already holds rows of this storefront: its fence is active at epoch 6", func(t *testing.T, _ *world, _ *instance, id backends.StorefrontID) {
			db, err := sql.Open("postgres", databases.shared[0].admin)
			require.NoError(t, err)
			_, err = db.Exec(`INSERT INTO fence (storefront_id, id, epoch, state, capture, move_id, gen) VALUES ($1, 'fence', 6, 'active', 0, '', 6)`, string(id))
			require.NoError(t, err)
			_, err = db.Exec(`INSERT INTO counters (storefront_id, id, value) VALUES ($1, 'stray', 1)`, string(id))
			require.NoError(t, err)
			require.NoError(t, db.Close())
			t.Cleanup(func() {
				db, err := sql.Open("postgres", databases.shared[0].admin)
				require.NoError(t, err)
				var gen int64
				require.NoError(t, db.QueryRow(`SELECT gen FROM fence WHERE storefront_id = $1`, string(id)).Scan(&gen))
				require.EqualValues(t, 6, gen, "it is let alone")
				require.NoError(t, db.Close())
			})
		}},
		"somebody's rows": {"shared", "target empty", "already holds rows of this storefront: table counters", func(t *testing.T, _ *world, _ *instance, id backends.StorefrontID) {
			db, err := sql.Open("postgres", databases.shared[0].admin)
			require.NoError(t, err)
			_, err = db.Exec(`INSERT INTO counters (storefront_id, id, value) VALUES ($1, 'stray', 1)`, string(id))
			require.NoError(t, err)
			require.NoError(t, db.Close())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWideWorld(t)
			i := w.instance(t, nil)
			id := i.storefront(t, 3)
			c.spoil(t, w, i, id)
			p, err := i.service.DryRun(context.Background(), Request{Storefront: id, Target: c.target})
			require.NoError(t, err)
			if c.finding == "" {
				require.False(t, slices.ContainsFunc(p.Findings, backends.Finding.Hinders), "%+v", p.Findings)
				i.waitFor(t, startTo(t, i, id, c.target, Options{}).ID, Watching)
				return
			}
			at := slices.IndexFunc(p.Findings, backends.Finding.Hinders)
			require.GreaterOrEqual(t, at, 0, "%+v", p.Findings)
			require.Equal(t, c.finding, p.Findings[at].Check)
			require.Contains(t, p.Findings[at].Problem, c.problem)
			require.NotEmpty(t, p.Findings[at].Fix)
			if m := startTo(t, i, id, c.target, Options{}); name == "a newer program was there" { // which may have to end it
				i.waitFor(t, m.ID, Cancelling, Failed)
			} else {
				i.waitFor(t, m.ID, Failed)
			}
		})
	}
}

// TestDryRunOfAnOlderSchema: a move begins by upgrading, so that hinders nothing.
func TestDryRunOfAnOlderSchema(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 3)
	w.execute(t, id, forgetNewest)
	p, err := i.service.DryRun(context.Background(), Request{Storefront: id, Target: "two"})
	require.NoError(t, err)
	require.False(t, slices.ContainsFunc(p.Findings, backends.Finding.Hinders), "%+v", p.Findings)
	require.True(t, slices.ContainsFunc(p.Findings, func(f backends.Finding) bool { return f.Warning && f.Check == "schema of the source" }), "%+v", p.Findings)
}

// TestDryRunOfAStorefrontThatIsAway says so, and calls nothing a defect of ours.
func TestDryRunOfAStorefrontThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 3)
	i.stores.Drop(backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	require.NoError(t, os.Remove(w.file("one", id, "1")))
	_, err := i.service.DryRun(context.Background(), Request{Storefront: id, Target: "two"})
	require.ErrorIs(t, err, backends.ErrDown)
}
