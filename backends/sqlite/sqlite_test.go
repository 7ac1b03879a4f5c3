package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

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

func BenchmarkTransaction(b *testing.B) { storetest.Benchmark(b, newBackend) }

func newBackend(t testing.TB, catalog *backends.Catalog) storetest.Subject {
	folder := t.TempDir()
	b, err := sqlite.Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: folder})
	require.NoError(t, err)
	return storetest.Subject{Backend: b, Unended: func(t testing.TB, p backends.Place) int { return unended(t, file(folder, p)) }}
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

// TestAWriterThatGetsNoTurn: whoever holds a file's lock for long is waited for
// within a bound, and the error says that another try makes sense.
func TestAWriterThatGetsNoTurn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folder := t.TempDir()
	b, err := sqlite.Opener(storetest.Catalog(t))(backends.Config{Name: "files", Kind: backends.SQLite, Path: folder})
	require.NoError(t, err)
	p := backends.Place{Backend: "files", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, b.Create(ctx, p))
	s, err := b.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, s.Found(ctx, 1))
	holder := behind(t, file(folder, p))
	_, err = holder.ExecContext(ctx, "BEGIN IMMEDIATE")
	require.NoError(t, err)
	nothing := func(context.Context, backends.Tx) error { return nil }
	err = s.Update(ctx, 1, nothing)
	require.ErrorIs(t, err, sqlstore.ErrContended)
	require.Positive(t, fault.Of(err).RetryAfter)
	require.NoError(t, s.View(ctx, 1, nothing), "readers wait for nobody")
	_, err = holder.ExecContext(ctx, "ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, s.Update(ctx, 1, nothing))
	require.NoError(t, errors.Join(holder.Close(), s.Close()))
}
