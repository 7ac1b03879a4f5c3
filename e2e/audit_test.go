package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/app"
	"smartseller/backends"
	"smartseller/backends/dedicatedpostgres"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/modules/migration"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
)

// audit looks at places as they lie, from outside the server, which may run.
type audit struct {
	t         *testing.T
	folder    string
	db        *control.DB
	directory *backends.Directory
	stores    *backends.Stores
}

// inspect lends an audit to look. Nothing stays open: the server may delete a file
// at any time.
func (p *program) inspect(t *testing.T, look func(a *audit)) {
	t.Helper()
	keys, err := crypto.LoadOrCreate(filepath.Join(p.folder, "data", "master.key"))
	require.NoError(t, err)
	catalog, err := app.NewCatalog()
	require.NoError(t, err)
	db, err := control.Open(context.Background(), p.controlDSN())
	require.NoError(t, err)
	a := &audit{t: t, folder: p.folder, db: db, directory: backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{
		backends.SQLite:            sqlite.Opener(catalog),
		backends.SharedPostgres:    sharedpostgres.Opener(catalog),
		backends.DedicatedPostgres: dedicatedpostgres.Opener(catalog, keys),
	})}
	a.stores = backends.NewStores(a.directory, 8)
	defer func() { require.NoError(t, errors.Join(a.stores.Close(), a.directory.Close(), db.Close())) }()
	look(a)
}

// target is the place that a move made.
func (a *audit) target(move string) (p backends.Place) {
	a.t.Helper()
	require.NoError(a.t, a.db.View(context.Background(), func(_ context.Context, tx control.Tx) error {
		var m struct {
			Backend    string `db:"target_backend"`
			Storefront string `db:"storefront_id"`
			Epoch      int64  `db:"target_made_at_epoch"`
		}
		err := tx.Get(&m, `SELECT target_backend, storefront_id, target_made_at_epoch FROM moves WHERE id = $1`, move)
		p = backends.Place{Backend: m.Backend, Storefront: backends.StorefrontID(m.Storefront), Epoch: m.Epoch}
		return err
	}))
	return p
}

// at says where a storefront is.
func (a *audit) at(storefront string) backends.Placement {
	a.t.Helper()
	at, err := a.directory.Placement(context.Background(), backends.StorefrontID(storefront))
	require.NoError(a.t, err)
	return at
}

func (a *audit) store(p backends.Place, look func(s backends.Store)) {
	a.t.Helper()
	s, release, err := a.stores.Acquire(context.Background(), p)
	require.NoError(a.t, err, "open %v", p)
	defer release()
	look(s)
}

// digests is the number of rows and the digest of every table that moves.
func (a *audit) digests(p backends.Place) map[string]string {
	a.t.Helper()
	found := map[string]string{}
	a.store(p, func(s backends.Store) {
		require.NoError(a.t, s.Read(context.Background(), func(r backends.Reader) error {
			for _, table := range a.directory.Catalog().Moving() {
				text, err := digest(r, table)
				if err != nil {
					return err
				}
				found[table.Name] = text
			}
			return nil
		}))
	})
	return found
}

func digest(r backends.Reader, table *backends.Table) (string, error) {
	var sum backends.Digest
	var buffer []byte
	n := 0
	for after, more := "", true; more; {
		var rows []backends.Row
		var err error
		if rows, more, err = r.Scan(table, after, "", 1000); err != nil {
			return "", err
		}
		for _, row := range rows {
			var d backends.Digest
			if d, buffer, err = backends.DigestOf(table, row, buffer); err != nil {
				return "", err
			}
			sum.Add(d)
			after = row.Key()
			n++
		}
	}
	return fmt.Sprintf("%d rows %s", n, sum), nil
}

// requireFree wants a place that serves, and of which no move knows.
func (a *audit) requireFree(at backends.Placement) {
	a.t.Helper()
	a.store(at.Place, func(s backends.Store) {
		f, err := s.Fence(context.Background())
		require.NoError(a.t, err)
		require.Equal(a.t, backends.Fence{Epoch: at.Epoch, State: backends.Active, Gen: f.Gen}, f)
		left, err := s.Backlog(context.Background())
		require.NoError(a.t, err)
		require.Zero(a.t, left)
		require.NoError(a.t, s.Read(context.Background(), func(r backends.Reader) error {
			n, err := r.Count(migration.CanaryTable)
			require.Zero(a.t, n, "canaries of moves")
			return err
		}))
	})
}

// requireGone wants nothing to be left of a place, which was the only one of its
// storefront on its backend.
func (a *audit) requireGone(p backends.Place) {
	a.t.Helper()
	require.NoDirExists(a.t, filepath.Join(a.folder, "data", p.Backend, string(p.Storefront)), "of a backend that keeps files")
	s, release, err := a.stores.Acquire(context.Background(), p)
	if errors.Is(err, backends.ErrNoPlace) {
		return
	}
	require.NoError(a.t, err)
	defer release()
	f, err := s.Fence(context.Background())
	require.NoError(a.t, err)
	require.Equal(a.t, backends.Fence{State: backends.Absent}, f, "%v", p)
	require.NoError(a.t, s.Read(context.Background(), func(r backends.Reader) error {
		for _, table := range a.directory.Catalog().Tables() {
			n, err := r.Count(table)
			require.Zero(a.t, n, "%v: %s", p, table.Name)
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// requireInStep waits until the place that a storefront has left, in a move whose
// window is open, has all that is at its place now, and wants them to be equal.
// Nobody may write meanwhile.
func (a *audit) requireInStep(storefront string) {
	a.t.Helper()
	now, err := a.directory.Is(context.Background(), backends.StorefrontID(storefront))
	require.NoError(a.t, err)
	before, err := a.directory.Was(context.Background(), backends.StorefrontID(storefront), now.Since-1)
	require.NoError(a.t, err)
	a.store(now.Placement.Place, func(s backends.Store) {
		require.Eventually(a.t, func() bool {
			left, err := s.Backlog(context.Background())
			return err == nil && left == 0
		}, patience, glance, "the old place does not get in step")
	})
	require.Equal(a.t, a.digests(now.Placement.Place), a.digests(before.Placement.Place), "the old place is not in step")
}
