package backends_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// TestFileGoesAwayAndComesBack: whatever happens to a storefront's file, what is
// asked of it meanwhile is told to come again, nothing that was acknowledged is
// lost, and it is served as soon as the file is back. Others notice nothing.
func TestFileGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(t *testing.T, path string) (back func()){
		"moved away": func(t *testing.T, path string) func() {
			require.NoError(t, os.Rename(path, path+".away"))
			return func() { require.NoError(t, os.Rename(path+".away", path)) }
		},
		"moved away with its folder": func(t *testing.T, path string) func() {
			folder := filepath.Dir(path)
			require.NoError(t, os.Rename(folder, folder+".away"))
			return func() { require.NoError(t, os.Rename(folder+".away", folder)) }
		},
		"a folder in its place": func(t *testing.T, path string) func() {
			require.NoError(t, os.Rename(path, path+".away"))
			require.NoError(t, os.Mkdir(path, 0o700))
			return func() {
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Rename(path+".away", path))
			}
		},
		"something else in its place": func(t *testing.T, path string) func() {
			require.NoError(t, os.Rename(path, path+".away"))
			require.NoError(t, os.WriteFile(path, make([]byte, 1<<16), 0o600))
			return func() { require.NoError(t, os.Rename(path+".away", path)) }
		},
	} {
		for _, open := range []string{"open", "closed"} {
			t.Run(name+" while "+open, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 4)
				id, other := w.storefront(t), w.storefront(t)
				require.NoError(t, w.visit(id))
				if open == "closed" {
					w.stores.Drop(place(id))
				}
				back := outage(t, w.file(id))
				for range 3 {
					requireDown(t, w.visit(id))
					_, err := w.visits(id)
					requireDown(t, err)
					require.NoError(t, w.visit(other))
				}
				back()
				require.NoError(t, w.visit(id))
				n, err := w.visits(id)
				require.NoError(t, err)
				require.EqualValues(t, 2, n)
			})
		}
	}
}

func requireDown(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, backends.ErrDown)
	require.Equal(t, fault.Unavailable, fault.Of(err).Kind)
	require.Positive(t, fault.Of(err).RetryAfter)
}

// TestFileIsReplaced: who restores a file from a copy is served from the copy, and
// nobody goes on writing into the old one.
func TestFileIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	id := w.storefront(t)
	require.NoError(t, w.visit(id))
	w.stores.Drop(place(id)) // folds the log into the file
	content, err := os.ReadFile(w.file(id))
	require.NoError(t, err)
	require.NoError(t, w.visit(id))
	require.NoError(t, os.WriteFile(w.file(id)+".copy", content, 0o600))
	for _, log := range []string{"-wal", "-shm"} {
		require.NoError(t, os.Remove(w.file(id)+log))
	}
	require.NoError(t, os.Rename(w.file(id)+".copy", w.file(id)))
	require.NoError(t, w.visit(id), "by a store that is opened for it")
	n, err := w.visits(id)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

// TestPlaceWasLeftAndErased by another instance, while this one has it open and believes
// the storefront to be there.
func TestPlaceWasLeftAndErased(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	id := w.storefront(t)
	require.NoError(t, w.visit(id))
	next := backends.Place{Backend: "files", Storefront: id, Epoch: 2}
	b, err := w.directory.Backend(ctx, "files")
	require.NoError(t, err)
	require.NoError(t, b.Create(ctx, next))
	store, release, err := w.stores.Acquire(ctx, next)
	require.NoError(t, err)
	defer release()
	require.NoError(t, store.Found(ctx, 2))
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := w.directory.Switch(tx, backends.Placement{Place: place(id), Epoch: 1}, next, ids.New())
		return err
	}))
	require.NoError(t, b.Destroy(ctx, place(id)))
	require.NoError(t, w.visit(id))
	n, err := w.visits(id)
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "at the new place")
}

// TestControlDatabaseGoesAway: storefronts that were seen are served on, of others
// nobody says that they do not exist.
func TestControlDatabaseGoesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	seen, unseen := w.storefront(t), w.storefront(t)
	require.NoError(t, w.visit(seen))
	require.NoError(t, w.db.Close())
	require.NoError(t, w.visit(seen))
	err := w.visit(unseen)
	require.Error(t, err)
	require.NotErrorIs(t, err, backends.ErrNoStorefront)
}
