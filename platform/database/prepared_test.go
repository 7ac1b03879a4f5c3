package database_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/database"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// entered is a pool of one connection, so that a test knows which one it meets.
type entered struct {
	t    *testing.T
	pool *sql.DB
}

func newEntered(t *testing.T, statements int) *entered {
	t.Helper()
	pool, err := database.OpenEntered(pgtest.Database(t), statements, 0, nil)
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return &entered{t: t, pool: pool}
}

// try runs fn in one transaction and commits.
func (e *entered) try(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := e.pool.BeginTx(database.WithEntry(ctx, &database.Entry{Text: "BEGIN"}), nil)
	require.NoError(e.t, err)
	if err := fn(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

func (e *entered) run(fn func(tx *sql.Tx) error) {
	e.t.Helper()
	require.NoError(e.t, e.try(context.Background(), fn))
}

func (e *entered) exec(texts ...string) {
	e.t.Helper()
	e.run(func(tx *sql.Tx) error {
		for _, text := range texts {
			if _, err := tx.Exec(text); err != nil {
				return err
			}
		}
		return nil
	})
}

// read is a query with an argument, in a transaction of its own.
func (e *entered) read(text string, arg any) error {
	return e.try(context.Background(), func(tx *sql.Tx) error {
		var into any
		return tx.QueryRow(text, arg).Scan(&into)
	})
}

// kept are the texts that the connection has prepared.
func (e *entered) kept() (texts []string) {
	e.t.Helper()
	e.run(func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT statement FROM pg_prepared_statements ORDER BY statement`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			texts = append(texts, text)
		}
		return rows.Err()
	})
	return texts
}

const one, two, three = `SELECT $1::bigint + 1`, `SELECT $1::bigint + 2`, `SELECT $1::bigint + 3`

func TestStatementsAreKeptUpToABound(t *testing.T) {
	t.Parallel()
	e := newEntered(t, 2)
	for _, text := range []string{one, two, one, three, three} { // two is the least recently used
		require.NoError(t, e.read(text, 1))
	}
	require.Equal(t, []string{one, three}, e.kept())
	require.NoError(t, e.read(two, 1))
	require.Equal(t, []string{two, three}, e.kept())
}

func TestStatementsThatAreNotKept(t *testing.T) {
	t.Parallel()
	e := newEntered(t, 0)
	require.NoError(t, e.read(one, 1))
	require.Empty(t, e.kept(), "a pooled connection keeps none")

	e = newEntered(t, 2)
	require.NoError(t, e.read(`SELECT $1::bigint`+strings.Repeat(` + 1`, 1000), 1))
	e.exec(`SELECT 1; SELECT 2`)
	require.Empty(t, e.kept(), "neither long ones nor those without arguments")
}

// TestStaleStatements: after a migration, or when the server has forgotten what
// was prepared, the failure says so and the next transaction works.
func TestStaleStatements(t *testing.T) {
	t.Parallel()
	e := newEntered(t, 2)
	const text = `SELECT value FROM stale WHERE id = $1`
	e.exec(`CREATE TABLE stale (id bigint, value bigint)`, `INSERT INTO stale VALUES (1, 2)`)
	require.NoError(t, e.read(text, 1))
	for name, change := range map[string]string{
		"another type": `ALTER TABLE stale ALTER COLUMN value TYPE text`,
		"forgotten":    `DEALLOCATE ALL`,
	} {
		e.exec(change)
		err := e.read(text, 1)
		require.True(t, database.Stale(err), "%s: %v", name, err)
		require.NoError(t, e.read(text, 1), name)
		require.Equal(t, []string{text}, e.kept(), name)
	}
	require.False(t, database.Stale(e.read(`SELECT 1 / $1::bigint`, 0)))
}

// TestAnswersAreNotMixed: the second statement is refused, and the first one's
// rows and the transaction stay good.
func TestAnswersAreNotMixed(t *testing.T) {
	t.Parallel()
	e := newEntered(t, 2)
	const numbers = `SELECT generate_series(1, $1::bigint)`
	e.run(func(tx *sql.Tx) error {
		rows, err := tx.Query(numbers, 3)
		require.NoError(t, err)
		defer rows.Close()
		require.True(t, rows.Next())
		_, err = tx.Exec(`SELECT 1`)
		require.ErrorContains(t, err, "still being read")
		_, err = tx.Exec(one, 1)
		require.ErrorContains(t, err, "still being read")
		n := 1
		for rows.Next() {
			n++
		}
		require.Equal(t, 3, n)
		return rows.Err()
	})
	require.NoError(t, e.read(one, 1))
}

// TestCancelledStatement leaves nothing open, and the connection can be used on.
func TestCancelledStatement(t *testing.T) {
	t.Parallel()
	e := newEntered(t, 2)
	const sleep = `SELECT pg_sleep($1)`
	require.NoError(t, e.read(sleep, 0))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.Error(t, e.try(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, sleep, 60)
		return err
	}))
	require.NoError(t, e.read(sleep, 0))
	require.Equal(t, []string{sleep}, e.kept())
}
