package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/backends/sqlstore"
	"smartseller/backends/storetest"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newBackend)
}

func TestOutage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	catalog := storetest.Catalog(t)
	b, err := sqlite.Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: folder})
	require.NoError(t, err)
	storetest.RunOutage(t, storetest.Subject{Backend: b}, catalog,
		func(p backends.Place) { require.NoError(t, os.Rename(file(folder, p), file(folder, p)+".away")) },
		func(p backends.Place) { require.NoError(t, os.Rename(file(folder, p)+".away", file(folder, p))) })
}

func BenchmarkTransaction(b *testing.B) { storetest.Benchmark(b, newBackend) }

func newBackend(t testing.TB, catalog *backends.Catalog) storetest.Subject {
	folder := t.TempDir()
	b, err := sqlite.Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: folder})
	require.NoError(t, err)
	return storetest.Subject{Backend: b, OneWriter: true, Unended: func(t testing.TB, p backends.Place) int { return unended(t, file(folder, p)) }}
}

func file(folder string, p backends.Place) string {
	return filepath.Join(folder, string(p.Storefront), strconv.FormatInt(p.Epoch, 10)+".db")
}

// behind opens a file on a connection that waits for nobody.
func behind(t testing.TB, path string) *sql.DB {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=rw&_busy_timeout=0")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	return db
}

// unended is 1 when a writer or a reader is in the way of emptying the file's log.
func unended(t testing.TB, path string) (busy int) {
	db := behind(t, path)
	defer db.Close()
	var frames, copied int
	require.NoError(t, db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &copied))
	return busy
}

// founded makes a founded place in a folder and returns the backend and the
// place's file.
func founded(t *testing.T, folder string) (*sqlite.Backend, backends.Place) {
	t.Helper()
	ctx := context.Background()
	b, err := sqlite.Opener(storetest.Catalog(t))(backends.Config{Name: "files", Kind: backends.SQLite, Path: folder})
	require.NoError(t, err)
	p := backends.Place{Backend: "files", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, b.Create(ctx, p))
	s, err := b.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, s.Found(ctx, 1))
	require.NoError(t, s.Close())
	return b.(*sqlite.Backend), p
}

// TestFolderThatIsGone: nothing is made in its place, neither by looking at it nor for
// a storefront, and whoever looks learns what to do.
func TestFolderThatIsGone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folder := filepath.Join(t.TempDir(), "files")
	require.NoError(t, os.Mkdir(folder, 0o700))
	b, p := founded(t, folder)
	require.NoError(t, b.Ping(ctx))
	require.Empty(t, b.Check(ctx)[0].Problem)
	require.NoError(t, os.RemoveAll(folder))

	require.ErrorIs(t, b.Ping(ctx), backends.ErrUnreachable)
	found := b.Check(ctx)[0]
	require.True(t, found.Hinders())
	require.Contains(t, found.Fix, "restore it")
	require.ErrorIs(t, b.Create(ctx, backends.Place{Backend: "files", Storefront: p.Storefront, Epoch: 2}), backends.ErrUnreachable)
	require.NoDirExists(t, folder)
}

// TestDiskThatIsNotMounted: what is on it is neither gone nor erased, and nothing is made on the
// disk below.
func TestDiskThatIsNotMounted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folder := filepath.Join(t.TempDir(), "files")
	require.NoError(t, os.Mkdir(folder, 0o700))
	_, p := founded(t, folder)
	marker, err := backends.MarkFolder(folder)
	require.NoError(t, err)
	b, err := sqlite.Opener(storetest.Catalog(t))(backends.Config{Name: "files", Kind: backends.SQLite, Path: folder, Marker: marker})
	require.NoError(t, err)
	require.NoError(t, b.Ping(ctx))
	require.NoError(t, os.Rename(folder, folder+".unmounted"))
	require.NoError(t, os.Mkdir(folder, 0o700))

	_, err = b.Open(ctx, p)
	require.ErrorIs(t, err, backends.ErrOtherFolder)
	require.NotErrorIs(t, err, backends.ErrNoPlace)
	require.ErrorIs(t, b.Destroy(ctx, p), backends.ErrUnreachable)
	require.ErrorIs(t, b.Create(ctx, backends.Place{Backend: "files", Storefront: p.Storefront, Epoch: 2}), backends.ErrUnreachable)
	require.ErrorIs(t, b.Ping(ctx), backends.ErrUnreachable)
	found := b.Check(ctx)[0]
	require.True(t, found.Hinders())
	require.Contains(t, found.Fix, "mount the disk")
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, os.Remove(folder))
	require.NoError(t, os.Rename(folder+".unmounted", folder))
	s, err := b.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, b.Destroy(ctx, p))
}

// TestDestroyLeavesNothing of a place, nor of a try to make it that died, in a folder with
// any signs in its name.
func TestDestroyLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "shops[1")
	require.NoError(t, os.Mkdir(folder, 0o700))
	b, p := founded(t, folder)
	path := file(folder, p)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-17"), nil, 0o600))
	require.NoError(t, b.Destroy(context.Background(), p))
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left)
}

func nothing(context.Context, backends.Tx) error { return nil }

// TestAWriterThatGetsNoTurn: whoever holds a file's lock for long is waited for
// within a bound, and the error says that another try makes sense.
func TestAWriterThatGetsNoTurn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folder := t.TempDir()
	b, p := founded(t, folder)
	s, err := b.Open(ctx, p)
	require.NoError(t, err)
	holder := behind(t, file(folder, p))
	_, err = holder.ExecContext(ctx, "BEGIN IMMEDIATE")
	require.NoError(t, err)
	err = s.Update(ctx, 1, nothing)
	require.ErrorIs(t, err, sqlstore.ErrContended)
	require.Positive(t, fault.Of(err).RetryAfter)
	require.NoError(t, s.View(ctx, 1, nothing), "readers wait for nobody")
	_, err = holder.ExecContext(ctx, "ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, s.Update(ctx, 1, nothing))
	require.NoError(t, errors.Join(holder.Close(), s.Close()))
}

// TestFileThatMayOnlyBeRead: readers go on, writers are told, and may write again
// as soon as the file may be written.
func TestFileThatMayOnlyBeRead(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	b, p := founded(t, folder)
	path := file(folder, p)
	for where, mode := range map[string]os.FileMode{filepath.Dir(folder): 0o711, folder: 0o711, filepath.Dir(path): 0o777, path: 0o444} {
		require.NoError(t, os.Chmod(where, mode))
	}
	var s backends.Store
	write := func(ctx context.Context) error {
		return s.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(add)
			return err
		})
	}
	var opening, reading, writing error
	asNobody(t, func(ctx context.Context) {
		if s, opening = b.Open(ctx, p); opening == nil {
			reading, writing = s.View(ctx, 1, nothing), write(ctx)
		}
	})
	require.NoError(t, opening)
	require.NoError(t, reading)
	require.ErrorIs(t, writing, backends.ErrUnreachable)
	for _, end := range []string{"", "-wal", "-shm"} { // SQLite makes them like the file
		require.NoError(t, os.Chmod(path+end, 0o666))
	}
	asNobody(t, func(ctx context.Context) { reading, writing = s.View(ctx, 1, nothing), write(ctx) })
	require.NoError(t, errors.Join(reading, writing, s.Close()))
}

var (
	counters = &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	add      = backends.Write(counters, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, 'a', 1)`)
)

// TestColumnsAfterSchemaChange: the mover sees the columns of today, on connections
// that have asked before.
func TestColumnsAfterSchemaChange(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folder := t.TempDir()
	b, p := founded(t, folder)
	s, err := b.Open(ctx, p)
	require.NoError(t, err)
	other := behind(t, file(folder, p))
	declared := []backends.Column{backends.T("id"), backends.I("value")}
	columns := func() (live []backends.Column) {
		require.NoError(t, s.Read(ctx, func(r backends.Reader) (err error) {
			live, _, err = r.Shape(counters)
			return err
		}))
		return live
	}
	require.Equal(t, declared, columns())
	_, err = other.ExecContext(ctx, "ALTER TABLE counters ADD COLUMN extra TEXT")
	require.NoError(t, err)
	require.Equal(t, append(slices.Clone(declared), backends.NT("extra")), columns())
	_, err = other.ExecContext(ctx, "ALTER TABLE counters DROP COLUMN extra")
	require.NoError(t, err)
	require.Equal(t, declared, columns())
	require.NoError(t, errors.Join(other.Close(), s.Close()))
}

// asNobody runs fn on a thread that root's privileges over files do not reach. The
// context must not be made one that can end: the driver would run statements on
// other threads.
func asNobody(t *testing.T, fn func(ctx context.Context)) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if os.Geteuid() == 0 {
			if err := unix.Setfsuid(65534); err != nil {
				done <- err
				return
			}
		}
		fn(context.Background())
		done <- nil
	}()
	require.NoError(t, <-done)
}
