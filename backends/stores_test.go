package backends_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/database"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// TestTenThousandStorefronts: however many files there are and whoever asks for
// them, few are open.
func TestTenThousandStorefronts(t *testing.T) {
	t.Parallel()
	const storefronts, maxOpen, callers = 10000, 40, 16
	w := newWorld(t, maxOpen)
	shops := w.manyStorefronts(t, storefronts)
	next := make(chan backends.StorefrontID)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for id := range next {
				if n, err := w.visits(id); err != nil || n != 1 {
					t.Errorf("%s has %d visits: %v", id, n, err) // and goes on, since ids wait for somebody
				}
			}
		})
	}
	most := 0
	for i, id := range shops {
		next <- id
		if i%50 == 0 {
			most = max(most, w.openFiles(t))
			require.LessOrEqual(t, w.stores.Usage()["files"].Stores, maxOpen)
		}
	}
	close(next)
	wg.Wait()
	// A store has a writing connection and up to twelve that read: each opens the
	// file and its log, and all of them together the log's index.
	require.Greater(t, most, maxOpen)
	require.LessOrEqual(t, most, maxOpen*(2*13+1))
	for _, id := range shops[:200] {
		require.NoError(t, w.visit(id))
		n, err := w.visits(id)
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
	}
	require.NoError(t, w.stores.Close())
	require.Zero(t, w.openFiles(t))
}

// manyStorefronts makes copies of one with one visit. Founding each would take
// minutes of waiting for the disk; only what the visits need is copied.
func (w *world) manyStorefronts(t *testing.T, n int) (made []backends.StorefrontID) {
	t.Helper()
	ctx := context.Background()
	pattern := w.storefront(t)
	require.NoError(t, w.visit(pattern))
	w.stores.Drop(place(pattern))
	db, err := database.OpenSQLite(ctx, w.file(pattern), database.SQLiteOptions{})
	require.NoError(t, err)
	var others []string
	rows, err := db.Writer.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('fence', 'counters', 'goose_db_version', 'sqlite_sequence')`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		others = append(others, "DROP TABLE "+name)
	}
	require.NoError(t, rows.Err())
	_, err = db.Writer.ExecContext(ctx, strings.Join(others, ";")+"; VACUUM")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	content, err := os.ReadFile(w.file(pattern))
	require.NoError(t, err)
	for range n {
		id := backends.StorefrontID(ids.New())
		require.NoError(t, os.Mkdir(filepath.Dir(w.file(id)), 0o700))
		require.NoError(t, os.WriteFile(w.file(id), bytes.ReplaceAll(content, []byte(pattern), []byte(id)), 0o600))
		made = append(made, id)
	}
	w.settle(t, made...)
	return made
}

func (w *world) file(id backends.StorefrontID) string {
	return filepath.Join(w.folder, string(id), "1.db")
}

// openFiles counts this process's open files under the backend's folder.
func (w *world) openFiles(t *testing.T) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range all {
		// One that was closed meanwhile is no longer open.
		if path, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(path, w.folder+"/") {
			n++
		}
	}
	return n
}

// TestStoresInUse: when all that may be open are in use the next one waits, gets
// its turn, or is told to come again.
func TestStoresInUse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 2)
	var shops []backends.StorefrontID
	for range 4 {
		shops = append(shops, w.storefront(t))
	}
	_, releaseOne, err := w.stores.Acquire(ctx, place(shops[0]))
	require.NoError(t, err)
	_, releaseTwo, err := w.stores.Acquire(ctx, place(shops[1]))
	require.NoError(t, err)

	_, _, err = w.stores.Acquire(ctx, place(shops[2]))
	require.ErrorIs(t, err, backends.ErrCrowded)
	require.Equal(t, fault.Unavailable, fault.Of(err).Kind)
	shared, releaseShared, err := w.stores.Acquire(ctx, place(shops[0]))
	require.NoError(t, err, "what is open is shared")
	require.Equal(t, place(shops[0]), shared.Place())
	releaseShared()

	turns := make(chan error, 8)
	for n := range cap(turns) {
		go func() { turns <- w.visit(shops[2+n%2]) }()
	}
	releaseOne()
	for range cap(turns) {
		require.NoError(t, <-turns)
	}
	require.LessOrEqual(t, w.stores.Usage()["files"].Stores, 2)
	releaseTwo()
	releaseTwo() // a second time changes nothing
	for n := range 2 {
		found, err := w.visits(shops[2+n])
		require.NoError(t, err)
		require.EqualValues(t, 4, found)
	}
}

// TestStoreIsDropped: whoever has it uses it to the end, whoever asks later gets
// another.
func TestStoreIsDropped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	id := w.storefront(t)
	old, release, err := w.stores.Acquire(ctx, place(id))
	require.NoError(t, err)
	w.stores.Drop(place(id))
	fresh, releaseFresh, err := w.stores.Acquire(ctx, place(id))
	require.NoError(t, err)
	require.NotSame(t, old, fresh)
	require.Equal(t, 2, w.stores.Usage()["files"].Stores)
	_, err = old.Fence(ctx)
	require.NoError(t, err)
	release()
	_, err = old.Fence(ctx)
	require.Error(t, err, "it is closed")
	releaseFresh()
	w.stores.Drop(place(id))
	require.Zero(t, w.stores.Usage()["files"].Stores)
	require.Zero(t, w.openFiles(t))
}

// TestStoreThatDoesNotOpen is tried again by the next who asks, and takes no room.
func TestStoreThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 1)
	id := backends.StorefrontID(ids.New())
	for range 3 {
		_, _, err := w.stores.Acquire(ctx, place(id))
		require.ErrorIs(t, err, backends.ErrNoPlace)
	}
	require.Zero(t, w.stores.Usage()["files"].Stores)
	b, err := w.directory.Backend(ctx, "files")
	require.NoError(t, err)
	require.NoError(t, b.Create(ctx, place(id)))
	_, release, err := w.stores.Acquire(ctx, place(id))
	require.NoError(t, err)
	release()
}
