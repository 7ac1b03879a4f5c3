package pgserver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver"
)

func start(t *testing.T, o pgserver.Options) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func connect(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func value(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var v string
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&v))
	return v
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

func TestThrowawayServer(t *testing.T) {
	t.Parallel()
	s := start(t, pgserver.Options{Settings: map[string]string{"work_mem": "5MB"}})
	db := connect(t, s.AdminDSN())

	require.Equal(t, "off", value(t, db, "SHOW fsync"))
	require.Equal(t, "5MB", value(t, db, "SHOW work_mem"))
	require.Equal(t, "300", value(t, db, "SHOW max_connections"))
	require.Equal(t, "UTC", value(t, db, "SHOW timezone"))
	require.Equal(t, "127.0.0.1", value(t, db, "SHOW listen_addresses"))
	require.Equal(t, "true", value(t, db, "SELECT ('a' < 'B')::text"), "the default order must be linguistic")
	require.Equal(t, "false", value(t, db, `SELECT ('a' COLLATE "C" < 'B')::text`))

	execute(t, db, "CREATE ROLE shopkeeper LOGIN PASSWORD '"+s.Password()+"'")
	shopkeeper := connect(t, s.DSN("postgres", "shopkeeper"))
	require.Equal(t, "shopkeeper", value(t, shopkeeper, "SELECT current_user"))

	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop(), "a second stop does nothing")
	require.Error(t, db.PingContext(t.Context()))
	require.ErrorContains(t, s.Restart(t.Context()), "stopped for good")
}

func TestNobodyGetsInWithoutThePassword(t *testing.T) {
	t.Parallel()
	s := start(t, pgserver.Options{})
	execute(t, connect(t, s.AdminDSN()), "CREATE ROLE passwordless LOGIN")

	for _, role := range []string{pgserver.Superuser, "passwordless"} {
		stranger := connect(t, replacePassword(t, s.DSN("postgres", role), "guess"))
		require.ErrorContains(t, stranger.PingContext(t.Context()), "password authentication failed")
	}
}

func TestKillLosesNothingCommitted(t *testing.T) {
	t.Parallel()
	s := start(t, pgserver.Options{})
	port := s.Port()
	db := connect(t, s.AdminDSN())
	execute(t, db, "CREATE TABLE kept (v TEXT)")
	execute(t, db, "INSERT INTO kept VALUES ('committed')")
	exited := s.Exited()

	require.NoError(t, s.Kill())
	<-exited
	require.Error(t, db.PingContext(t.Context()))
	require.NoError(t, s.Kill(), "killing what is dead does nothing")

	require.NoError(t, s.Restart(t.Context()))
	require.Equal(t, port, s.Port())
	require.Equal(t, "committed", value(t, db, "SELECT v FROM kept"))

	require.NoError(t, s.Restart(t.Context()), "a running server is stopped first")
	require.Eventually(t, func() bool { return db.PingContext(t.Context()) == nil }, 5*time.Second, 10*time.Millisecond)
}

func TestPersistentServerKeepsDataPasswordAndPort(t *testing.T) {
	t.Parallel()
	// No other account may walk through here: as root, the server must get to
	// its data nonetheless.
	parent := filepath.Join(t.TempDir(), "private")
	require.NoError(t, os.Mkdir(parent, 0o700))
	dir := filepath.Join(parent, "postgres")

	first := start(t, pgserver.Options{Dir: dir})
	dsn := first.AdminDSN()
	require.Equal(t, "on", value(t, connect(t, dsn), "SHOW fsync"))
	execute(t, connect(t, dsn), "CREATE DATABASE shop")

	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	require.ErrorContains(t, err, "another process runs the PostgreSQL server")
	require.NoError(t, first.Stop())

	second := start(t, pgserver.Options{Dir: dir})
	require.Equal(t, dsn, second.AdminDSN())
	require.NoError(t, connect(t, second.DSN("shop", pgserver.Superuser)).PingContext(t.Context()))
	port := second.Port()
	require.NoError(t, second.Stop())

	somebody, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	_, err = pgserver.Start(t.Context(), pgserver.Options{Dir: dir, SamePort: true})
	require.ErrorContains(t, err, fmt.Sprintf("start PostgreSQL on port %d", port))
	third := start(t, pgserver.Options{Dir: dir})
	require.NotEqual(t, port, third.Port())
	require.NoError(t, errors.Join(third.Stop(), somebody.Close()))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "cluster", "PG_VERSION"), []byte("9\n"), 0o600))
	_, err = pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	require.ErrorContains(t, err, "is of PostgreSQL 9")
	require.DirExists(t, dir, "a persistent folder is never removed")
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	taken := start(t, pgserver.Options{})

	_, err := pgserver.Start(t.Context(), pgserver.Options{Settings: map[string]string{"no_such_setting": "1"}})
	require.ErrorContains(t, err, "no_such_setting", "the log's end says why")

	_, err = pgserver.Start(t.Context(), pgserver.Options{Port: taken.Port()})
	require.ErrorContains(t, err, "Address already in use")

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pgserver.Start(cancelled, pgserver.Options{})
	require.Error(t, err)
}

func replacePassword(t *testing.T, dsn, password string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String()
}
