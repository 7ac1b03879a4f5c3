package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/database"
)

// TestForgottenTransaction: lib/pq gives a connection back to the pool whatever
// its transaction's status; whoever came next would be inside it.
func TestForgottenTransaction(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEntered(t, 2)
	e.exec(`CREATE TABLE notes (text text)`)
	for name, forget := range map[string]func(driver.Conn) error{
		"begun": func(c driver.Conn) error { return nil },
		"failed": func(c driver.Conn) error {
			_, err := c.(driver.ExecerContext).ExecContext(ctx, `SELECT 1 / 0`, nil)
			require.Error(t, err)
			return nil
		},
	} {
		conn, err := e.pool.Conn(ctx)
		require.NoError(t, err)
		require.NoError(t, conn.Raw(func(c any) error {
			entry := database.WithEntry(ctx, &database.Entry{Text: `BEGIN; INSERT INTO notes VALUES ('forgotten')`})
			_, err := c.(driver.ConnBeginTx).BeginTx(entry, driver.TxOptions{})
			require.NoError(t, err)
			return forget(c.(driver.Conn))
		}))
		require.NoError(t, conn.Close())
		e.run(func(tx *sql.Tx) error {
			var n int
			require.NoError(t, tx.QueryRow(`SELECT count(*) FROM notes`).Scan(&n))
			require.Zero(t, n, name)
			return nil
		})
	}
}

// TestNothingOutsideATransaction: there is no way around the entry.
func TestNothingOutsideATransaction(t *testing.T) {
	t.Parallel()
	e := newEntered(t, 2)
	_, err := e.pool.Exec(`SELECT 1`)
	require.ErrorIs(t, err, database.ErrOutsideTransaction)
	var text string
	require.ErrorIs(t, e.pool.QueryRow(`SELECT $1::text`, "a").Scan(&text), database.ErrOutsideTransaction)
	_, err = e.pool.Begin()
	require.ErrorIs(t, err, database.ErrNoEntry)
}

// TestRefusedEntry: an entry that the server refuses leaves nothing open, and the
// connection can be used on.
func TestRefusedEntry(t *testing.T) {
	t.Parallel()
	e := newEntered(t, 2)
	entry := database.WithEntry(context.Background(), &database.Entry{Text: `BEGIN; SELECT 1 / 0`})
	for range 3 {
		_, err := e.pool.BeginTx(entry, nil)
		require.ErrorContains(t, err, "division by zero")
	}
	require.NoError(t, e.read(one, 1))
	require.Equal(t, 1, e.pool.Stats().OpenConnections)
}

// TestCommitOfAFailedTransaction is an error, though the server answers.
func TestCommitOfAFailedTransaction(t *testing.T) {
	t.Parallel()
	e := newEntered(t, 2)
	require.Error(t, e.try(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`SELECT 1 / 0`)
		require.Error(t, err)
		return nil
	}))
	require.NoError(t, e.read(one, 1))
}
