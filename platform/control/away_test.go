package control

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// TestAway: a control database that is away is not our fault, and neither is it
// anything else that goes wrong.
func TestAway(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		sqlite3.Error{Code: sqlite3.ErrFull}, sqlite3.Error{Code: sqlite3.ErrIoErr}, &pq.Error{Code: "53100"}, &pq.Error{Code: "57P01"}, &pq.Error{Code: "25006"},
	} {
		require.ErrorIs(t, awayIf(fmt.Errorf("wrapped: %w", err)), ErrAway)
		require.ErrorIs(t, awayIf(err), err, "the cause is kept, for the log")
	}
	for _, err := range []error{
		nil, sql.ErrNoRows, context.Canceled, context.DeadlineExceeded, errors.New("another"), &pq.Error{Code: "57014"}, &pq.Error{Code: "40001"}, sqlite3.Error{Code: sqlite3.ErrBusy},
	} {
		require.False(t, errors.Is(awayIf(err), ErrAway), err)
	}
}

// TestPostgresGoesAwayAndComesBack.
func TestPostgresGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Database(t)
	at, err := url.Parse(dsn)
	require.NoError(t, err)
	name := strings.TrimPrefix(at.Path, "/")
	server, err := sql.Open("postgres", pgtest.ServerDSN(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	db, err := Open(ctx, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	look := func() error {
		return db.View(ctx, func(_ context.Context, tx Tx) error { return tx.Get(new(int), `SELECT count(*) FROM leases`) })
	}
	require.NoError(t, look())
	admit := func(yes bool) {
		_, err := server.Exec(fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", pq.QuoteIdentifier(name), yes))
		require.NoError(t, err)
	}
	admit(false)
	_, err = server.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, name)
	require.NoError(t, err)
	require.ErrorIs(t, look(), ErrAway)
	admit(true)
	require.NoError(t, look())
}
