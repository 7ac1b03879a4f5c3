package badwire_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	_ "github.com/lib/pq"

	"smartseller/platform/pgserver/badwire"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() }) // its connections may be broken
	return db
}

func TestCutAndDown(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	w := badwire.New(t, dsn)
	db := open(t, w.DSN(dsn))
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "SELECT 1")
	require.NoError(t, err)
	w.Cut()
	_, err = conn.ExecContext(t.Context(), "SELECT 1")
	require.Error(t, err)
	_ = conn.Close()
	require.NoError(t, db.PingContext(t.Context()))
	w.Down()
	require.Error(t, open(t, w.DSN(dsn)).PingContext(t.Context()))
	w.Up()
	require.NoError(t, open(t, w.DSN(dsn)).PingContext(t.Context()))
}

func TestSilence(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	w := badwire.New(t, dsn)
	db := open(t, w.DSN(dsn))
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	w.Silence()
	answer := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(context.Background(), "CREATE TABLE spoken (id TEXT)")
		answer <- err
	}()
	direct := open(t, dsn)
	require.NoError(t, direct.PingContext(t.Context()))
	select {
	case err := <-answer:
		t.Fatal("a silent wire answered", err)
	default:
	}
	w.Speak()
	require.Error(t, <-answer)
	_ = conn.Close()
	_, err = direct.ExecContext(t.Context(), "SELECT id FROM spoken")
	require.ErrorContains(t, err, "does not exist", "what was swallowed is gone")
	require.NoError(t, db.PingContext(t.Context()))
}

func TestHoldAt(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	w := badwire.New(t, dsn)
	db, direct := open(t, w.DSN(dsn)), open(t, dsn)
	h := w.HoldAt("CREATE TABLE held")
	require.NoError(t, db.PingContext(t.Context()))
	answer := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(context.Background(), "CREATE TABLE held (id TEXT)")
		answer <- err
	}()
	<-h.Reached()
	_, err := direct.ExecContext(t.Context(), "SELECT id FROM held")
	require.ErrorContains(t, err, "does not exist")
	h.Release()
	require.NoError(t, <-answer)
	_, err = direct.ExecContext(t.Context(), "SELECT id FROM held")
	require.NoError(t, err)
}
