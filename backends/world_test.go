package backends_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/backends/storetest"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/ids"
)

// world is a control database with one SQLite backend, "files", and what modules
// reach storefronts by.
type world struct {
	db        *control.DB
	folder    string // of the backend
	directory *backends.Directory
	stores    *backends.Stores
	router    *backends.Router
}

func newWorld(t testing.TB, maxOpen int) *world {
	t.Helper()
	w := &world{db: controltest.Open(t), folder: t.TempDir()}
	w.directory = w.newDirectory(t)
	require.NoError(t, w.directory.Register(context.Background(), backends.Config{Name: "files", Kind: backends.SQLite, Path: w.folder}))
	w.stores = backends.NewStores(w.directory, maxOpen)
	w.router = backends.NewRouter(w.directory, w.stores, backends.RouterOptions{})
	t.Cleanup(func() { require.NoError(t, w.stores.Close()) })
	return w
}

// newDirectory is that of an instance.
func (w *world) newDirectory(t testing.TB) *backends.Directory {
	t.Helper()
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	catalog := storetest.Catalog(t)
	d := backends.NewDirectory(w.db, keys, catalog, map[backends.Kind]backends.Opener{backends.SQLite: sqlite.Opener(catalog)})
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func place(id backends.StorefrontID) backends.Place {
	return backends.Place{Backend: "files", Storefront: id, Epoch: 1}
}

// settle says in the control database that storefronts are in their places.
func (w *world) settle(t testing.TB, ids ...backends.StorefrontID) {
	t.Helper()
	require.NoError(t, w.db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
		for _, id := range ids {
			if err := w.directory.Settle(tx, backends.Placement{Place: place(id), Epoch: 1}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// storefront founds one.
func (w *world) storefront(t testing.TB) backends.StorefrontID {
	t.Helper()
	ctx := context.Background()
	id := backends.StorefrontID(ids.New())
	b, err := w.directory.Backend(ctx, "files")
	require.NoError(t, err)
	require.NoError(t, b.Create(ctx, place(id)))
	store, release, err := w.stores.Acquire(ctx, place(id))
	require.NoError(t, err)
	defer release()
	require.NoError(t, store.Found(ctx, 1))
	w.settle(t, id)
	return id
}

var (
	visits   = &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	addVisit = backends.Write(visits, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, 'visits', 1)
		ON CONFLICT (storefront_id, id) DO UPDATE SET value = counters.value + 1`)
	getVisits = backends.Read(`SELECT value FROM counters WHERE storefront_id = $1 AND id = 'visits'`)
)

func (w *world) visit(id backends.StorefrontID) error {
	return w.router.Update(context.Background(), id, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(addVisit)
		return err
	})
}

func (w *world) visits(id backends.StorefrontID) (n int64, err error) {
	err = w.router.View(context.Background(), id, func(_ context.Context, tx backends.Tx) error { return tx.Get(&n, getVisits) })
	return n, err
}
