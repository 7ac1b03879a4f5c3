package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/platform/database"
	"smartseller/platform/pgserver/badwire"
	"smartseller/platform/pgserver/pgtest"
)

func newBulk(t *testing.T) *sql.DB {
	t.Helper()
	pool, err := database.OpenBulk(pgtest.Database(t), time.Hour, nil)
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

// first reads the first value of the first rows of a query, at most so many.
func first(pool *sql.DB, most int, text string, args ...any) (out []string, err error) {
	err = database.ReadBinary(context.Background(), pool, text, args, func(values [][]byte) (bool, error) {
		out = append(out, string(values[0]))
		return len(out) < most, nil
	})
	return out, err
}

func TestBulkReadsWhatCameOverTheWire(t *testing.T) {
	t.Parallel()
	pool := newBulk(t)
	out, err := first(pool, 100, "SELECT $1::text || n FROM generate_series(1, $2) n", "row ", int64(3))
	require.NoError(t, err)
	require.Equal(t, []string{"row 1", "row 2", "row 3"}, out)
	out, err = first(pool, 1, "SELECT int8send(n) FROM generate_series(1, 1000) n")
	require.NoError(t, err)
	require.Equal(t, []string{"\x00\x00\x00\x00\x00\x00\x00\x01"}, out, "who has enough gets no more")
	own := errors.New("own")
	err = database.ReadBinary(context.Background(), pool, "SELECT 1", nil, func([][]byte) (bool, error) { return true, own })
	require.ErrorIs(t, err, own)
	out, err = first(pool, 1, "SELECT 'still there'")
	require.NoError(t, err)
	require.Equal(t, []string{"still there"}, out)
}

func TestBulkErrorsAreLibPQs(t *testing.T) {
	t.Parallel()
	pool := newBulk(t)
	for text, code := range map[string]string{
		"SELECT 1 / 0":           "22012",
		"CREATE TABLE t (a int)": "25006", // it only reads
	} {
		_, err := first(pool, 1, text)
		var e *pq.Error
		require.ErrorAs(t, err, &e, text)
		require.EqualValues(t, code, e.Code, text)
	}
	_, err := first(pool, 1, "SELECT pg_terminate_backend(pg_backend_pid())::text")
	require.ErrorIs(t, err, driver.ErrBadConn)
	out, err := first(pool, 1, "SELECT 'another one'")
	require.NoError(t, err, "a connection that died is not used again")
	require.Equal(t, []string{"another one"}, out)
}

// TestBulkFromSilentServer: who reads pages through a wire that has fallen silent is not
// kept for ever, though no context ends, and goes on when it speaks again.
func TestBulkFromSilentServer(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	w := badwire.New(t, direct)
	pool, err := database.OpenBulk(with(t, w.DSN(direct), "answer_timeout", "1"), time.Hour, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	read := func() error {
		_, err := first(pool, 1, "SELECT 'a row'")
		return err
	}
	require.NoError(t, read())
	w.Silence()
	err = read()
	var silent net.Error
	require.ErrorAs(t, err, &silent)
	require.True(t, silent.Timeout())
	w.Speak()
	require.Eventually(t, func() bool { return read() == nil }, 20*time.Second, time.Millisecond)
	_, err = database.OpenBulk(with(t, direct, "answer_timeout", "soon"), 0, nil)
	require.ErrorContains(t, err, "answer_timeout")
}

// TestBulkEndsWithItsContext, though the server's answer is awaited for hours.
func TestBulkEndsWithItsContext(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	w := badwire.New(t, direct)
	pool, err := database.OpenBulk(w.DSN(direct), time.Hour, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	ctx, cancel := context.WithCancel(context.Background())
	read := func(text string) error {
		return database.ReadBinary(ctx, pool, text, nil, func([][]byte) (bool, error) {
			cancel()
			return true, nil
		})
	}
	require.ErrorIs(t, read("SELECT repeat('more than is kept back', 10000), pg_sleep(n) FROM (VALUES (0), (0), (3600)) v(n)"), context.Canceled)
}
