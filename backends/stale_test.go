package backends_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestStaleHandle: the first request behind a place's replacement is answered by a store
// that is opened for it.
func TestStaleHandle(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, w *world, id backends.StorefrontID){
		"another file in its place": func(t *testing.T, w *world, id backends.StorefrontID) {
			path := w.file(id)
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".new", content, 0o600))
			require.NoError(t, os.Rename(path+".new", path))
		},
		"a pool that was closed": func(t *testing.T, w *world, id backends.StorefrontID) {
			store, release, err := w.stores.Acquire(context.Background(), place(id))
			require.NoError(t, err)
			defer release()
			require.NoError(t, store.Close())
		},
		"while the control database is away": func(t *testing.T, w *world, id backends.StorefrontID) {
			store, release, err := w.stores.Acquire(context.Background(), place(id))
			require.NoError(t, err)
			defer release()
			require.NoError(t, store.Close())
			require.NoError(t, w.db.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			id := w.storefront(t)
			_, err := w.visits(id) // opens it, and writes nothing that its log would keep
			require.Error(t, err, "nobody was there")
			require.NoError(t, w.stores.Close())
			w.stores = backends.NewStores(w.directory, 4) // by now all is in the file itself
			w.router = backends.NewRouter(w.directory, w.stores, backends.RouterOptions{})
			t.Cleanup(func() { require.NoError(t, w.stores.Close()) })
			_, err = w.visits(id)
			require.Error(t, err)
			spoil(t, w, id)
			require.NoError(t, w.visit(id))
			n, err := w.visits(id)
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
		})
	}
}
