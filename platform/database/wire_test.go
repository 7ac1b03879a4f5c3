package database_test

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/database"
	"smartseller/platform/pgserver/badwire"
	"smartseller/platform/pgserver/pgtest"
)

// with adds a parameter to a DSN.
func with(t *testing.T, dsn, name, value string) string {
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// TestSilentServer: who asks through a wire that has fallen silent is not kept for ever,
// whether or not its context ends, and gets a new connection afterwards.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	for name, open := range map[string]func(dsn string) (*sql.DB, error){
		"plain":   func(dsn string) (*sql.DB, error) { return database.OpenPostgres(dsn, time.Hour) },
		"entered": func(dsn string) (*sql.DB, error) { return database.OpenEntered(dsn, 8, time.Hour, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := badwire.New(t, direct)
			pool, err := open(with(t, w.DSN(direct), "answer_timeout", "1"))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			ask := func() error {
				tx, err := pool.BeginTx(database.WithEntry(context.Background(), &database.Entry{Text: "BEGIN"}), nil)
				if err != nil {
					return err
				}
				_, err = tx.Exec(`SELECT pg_sleep(0)`)
				_ = tx.Rollback()
				return err
			}
			require.NoError(t, ask())
			w.Silence()
			err = ask()
			var silent net.Error
			require.ErrorAs(t, err, &silent)
			require.True(t, silent.Timeout())
			w.Speak()
			require.Eventually(t, func() bool { return ask() == nil }, 20*time.Second, time.Millisecond)
		})
	}
}

// TestContextEndsWhileServerIsSilent: who asks for a while does not wait for as long as a
// server may take.
func TestContextEndsWhileServerIsSilent(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	for name, open := range map[string]func(dsn string) (*sql.DB, error){
		"plain":     func(dsn string) (*sql.DB, error) { return database.OpenPostgres(dsn, time.Hour) },
		"unbounded": func(dsn string) (*sql.DB, error) { return database.OpenPostgres(dsn, 0) },
		"entered":   func(dsn string) (*sql.DB, error) { return database.OpenEntered(dsn, 8, time.Hour, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := badwire.New(t, direct)
			pool, err := open(w.DSN(direct))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			pool.SetMaxOpenConns(1)
			begin := func(ctx context.Context) (*sql.Tx, error) {
				return pool.BeginTx(database.WithEntry(ctx, &database.Entry{Text: "BEGIN"}), nil)
			}
			soon := func() context.Context {
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				t.Cleanup(cancel)
				return ctx
			}
			tx, err := begin(context.Background())
			require.NoError(t, err)
			w.Silence()
			_, err = tx.ExecContext(soon(), `SELECT pg_sleep(0)`)
			require.Error(t, err)
			w.Speak()
			_ = tx.Rollback() // its connection is closed
			tx, err = begin(context.Background())
			require.NoError(t, err, "on a new connection")
			require.NoError(t, tx.Rollback())
			w.Silence() // one that lay idle
			_, err = begin(soon())
			require.Error(t, err)
		})
	}
}

// TestSlowAnswer: a server that works longer than its client's patience is not waited for.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	patient, err := database.OpenPostgres(direct, 0)
	require.NoError(t, err)
	impatient, err := database.OpenPostgres(direct, 100*time.Millisecond)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, patient.Close())
		require.NoError(t, impatient.Close())
	})
	_, err = patient.Exec(`SELECT pg_sleep(0.3)`)
	require.NoError(t, err)
	_, err = impatient.Exec(`SELECT pg_sleep(30)`)
	require.Error(t, err)
	_, err = database.OpenPostgres(with(t, direct, "answer_timeout", "soon"), 0)
	require.ErrorContains(t, err, "answer_timeout")
}

// TestLongAnswer: a query that reads much before it answers is waited for longer than
// others are, in whatever way its statement is run.
func TestLongAnswer(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	const slow = `SELECT CAST(count(pg_sleep(CAST($1 AS float8))) AS bigint)`
	for name, statements := range map[string]int{"prepared": 8, "not prepared": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, err := database.OpenEntered(with(t, direct, "answer_timeout", "1"), statements, 0, nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			ask := func(ctx context.Context) error {
				tx, err := pool.BeginTx(database.WithEntry(ctx, &database.Entry{Text: "BEGIN"}), nil)
				require.NoError(t, err)
				defer func() { _ = tx.Rollback() }()
				var n int
				return tx.QueryRowContext(ctx, slow, 1.5).Scan(&n)
			}
			require.NoError(t, ask(database.WithLongAnswer(context.Background())))
			var silent net.Error
			require.ErrorAs(t, ask(context.Background()), &silent)
		})
	}
}
