package control

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

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
	for _, err := range []error{sqlite3.Error{Code: sqlite3.ErrFull}, &pq.Error{Code: "53100"}} {
		require.ErrorContains(t, awayIf(err), "make room")
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
	var together sync.WaitGroup
	together.Add(maxIdle)
	var all errgroup.Group
	for range maxIdle { // each on a connection of its own, which then lies idle in the pool
		all.Go(func() error {
			return db.View(ctx, func(_ context.Context, tx Tx) error {
				together.Done()
				together.Wait()
				return nil
			})
		})
	}
	require.NoError(t, all.Wait())
	admit := func(yes bool) {
		_, err := server.Exec(fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", pq.QuoteIdentifier(name), yes))
		require.NoError(t, err)
	}
	admit(false)
	end := func() {
		_, err := server.Exec(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1`, name)
		require.NoError(t, err)
	}
	end()
	require.ErrorIs(t, look(), ErrAway)
	admit(true)
	require.NoError(t, look())
	end() // as a restart that nobody asked anything meanwhile
	require.NoError(t, look())
}

// TestBrokenConnection: connections that end as a transaction begins on them are not the
// end of what was asked for.
func TestBrokenConnection(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Database(t)
	var broken atomic.Int32
	db, err := Open(ctx, resetting(t, dsn, func() bool { return broken.Add(-1) >= 0 }))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	broken.Store(maxIdle)
	require.NoError(t, db.Update(ctx, func(_ context.Context, tx Tx) error {
		_, err := tx.Exec(`DELETE FROM leases`)
		return err
	}))
	require.Negative(t, broken.Load())
}

// resetting is a way to the server that answers BEGIN by a reset of the connection, as
// often as it shall.
func resetting(t *testing.T, dsn string, shall func() bool) string {
	at, err := url.Parse(dsn)
	require.NoError(t, err)
	server := at.Host
	relay, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = relay.Close() })
	go func() {
		for {
			client, err := relay.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = client.Close() }()
				upstream, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer func() { _ = upstream.Close() }()
				go func() { _, _ = io.Copy(client, upstream) }()
				message := make([]byte, 1<<16)
				for {
					n, err := client.Read(message)
					if err != nil {
						return
					}
					if bytes.Contains(message[:n], []byte("BEGIN")) && shall() {
						_ = client.(*net.TCPConn).SetLinger(0)
						return
					}
					if _, err := upstream.Write(message[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	at.Host = relay.Addr().String()
	return at.String()
}
