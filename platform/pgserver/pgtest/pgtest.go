// Package pgtest gives tests PostgreSQL databases of their own, on one throwaway
// server per test process, or on the one that `make test` started for all.
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver"
)

// Variable names the environment variable with the superuser's URL of a server
// that all test processes share. Its roles and databases are then shared too:
// names must come from Database, Role or Name.
const Variable = "TEST_POSTGRES"

// shared is the process's server: started by the first test that needs one,
// stopped by Main, or by the kernel when the process ends without.
var shared struct {
	once   sync.Once
	server *pgserver.Server // nil when the environment names one
	dsn    string
	err    error
}

// ServerDSN is the superuser's URL of the server that Database uses, for tests
// that make databases themselves. They must use Name and clean up.
func ServerDSN(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		if shared.dsn = os.Getenv(Variable); shared.dsn != "" {
			return
		}
		if shared.server, shared.err = pgserver.Start(context.Background(), pgserver.Options{}); shared.err == nil {
			shared.dsn = shared.server.AdminDSN()
		}
	})
	require.NoError(t, shared.err)
	return shared.dsn
}

// Database makes an empty database, dropped when the test ends, and returns the
// superuser's URL of it.
func Database(t testing.TB) (adminDSN string) {
	t.Helper()
	server, name := ServerDSN(t), Name()
	execute(t, server, "CREATE DATABASE "+pq.QuoteIdentifier(name))
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+pq.QuoteIdentifier(name)+" WITH (FORCE)") })
	return change(t, server, func(u *url.URL) { u.Path = "/" + name })
}

// lasting are the databases and roles that Main drops, newest first.
var lasting struct {
	sync.Mutex
	drops []string
}

// LastingDatabase makes an empty database for the tests of the whole process, and a
// login role with a password that owns nothing there. Main drops both. Tests that
// share a database must not be in each other's way.
func LastingDatabase(t testing.TB) (adminDSN, dsn string) {
	t.Helper()
	server, database, role, password := ServerDSN(t), Name(), Name(), rand.Text()
	execute(t, server, "CREATE DATABASE "+pq.QuoteIdentifier(database))
	execute(t, server, "CREATE ROLE "+pq.QuoteIdentifier(role)+" LOGIN PASSWORD "+pq.QuoteLiteral(password))
	lasting.Lock()
	defer lasting.Unlock()
	lasting.drops = append(lasting.drops, "DROP ROLE "+pq.QuoteIdentifier(role), "DROP DATABASE "+pq.QuoteIdentifier(database)+" WITH (FORCE)")
	adminDSN = change(t, server, func(u *url.URL) { u.Path = "/" + database })
	return adminDSN, change(t, adminDSN, func(u *url.URL) { u.User = url.UserPassword(role, password) })
}

func dropLasting() error {
	lasting.Lock()
	defer lasting.Unlock()
	if len(lasting.drops) == 0 {
		return nil
	}
	db, err := sql.Open("postgres", shared.dsn)
	if err != nil {
		return err
	}
	errs := []error{}
	for _, drop := range slices.Backward(lasting.drops) {
		_, err := db.ExecContext(context.Background(), drop)
		errs = append(errs, err)
	}
	lasting.drops = nil
	return errors.Join(append(errs, db.Close())...)
}

// Role makes a login role with a password and these attributes (such as
// "CREATEDB", or "" for none), and returns its URL of the same database. The role
// and all that it owns there are dropped when the test ends.
func Role(t testing.TB, adminDSN, attributes string) (dsn string) {
	t.Helper()
	name, password := Name(), rand.Text()
	role := pq.QuoteIdentifier(name)
	execute(t, adminDSN, "CREATE ROLE "+role+" LOGIN "+attributes+" PASSWORD "+pq.QuoteLiteral(password))
	t.Cleanup(func() {
		execute(t, adminDSN, "DROP OWNED BY "+role+" CASCADE")
		execute(t, adminDSN, "DROP ROLE "+role)
	})
	return change(t, adminDSN, func(u *url.URL) { u.User = url.UserPassword(name, password) })
}

// Name is a name for a role or database that no other test has.
func Name() string { return "test_" + strings.ToLower(rand.Text()) }

// Main runs a package's tests and stops the server, so that nothing is left
// behind, also when interrupted:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// after is what else the package clears up.
func Main(m *testing.M, after ...func() error) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-interrupted
		exit(130, after)
	}()
	exit(m.Run(), after)
}

func exit(code int, after []func() error) {
	shared.once.Do(func() {}) // waits for a start under way, and lets none begin
	for _, clean := range append(after, dropLasting) {
		if err := clean(); err != nil {
			fmt.Fprintln(os.Stderr, "clear up:", err)
			code = max(code, 1)
		}
	}
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the test server:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func execute(t testing.TB, dsn, statement string) {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	// Not the test's context: clean-up runs when that is done.
	_, err = db.ExecContext(context.Background(), statement)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func change(t testing.TB, dsn string, how func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	how(u)
	return u.String()
}
