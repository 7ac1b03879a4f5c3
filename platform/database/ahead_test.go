package database

import (
	"context"
	"database/sql"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// entries is a pool of one connection with a table, whose entries go ahead.
type entries struct {
	t    *testing.T
	dsn  string
	pool *sql.DB
}

func newEntries(t *testing.T, statements int) *entries {
	t.Helper()
	e := openEntries(t, pgtest.Database(t), statements)
	tx, err := e.pool.BeginTx(WithEntry(context.Background(), &Entry{Text: "BEGIN"}), nil)
	require.NoError(t, err)
	_, err = tx.Exec(`CREATE TABLE notes (text text PRIMARY KEY)`)
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	return e
}

func openEntries(t *testing.T, dsn string, statements int) *entries {
	t.Helper()
	pool, err := OpenEntered(dsn, statements, 0, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	pool.SetMaxOpenConns(1)
	return &entries{t, dsn, pool}
}

func (e *entries) begin(steps ...Step) (*sql.Tx, *Entry) {
	e.t.Helper()
	entry := &Entry{Steps: append([]Step{{Text: "BEGIN"}}, steps...)}
	tx, err := e.pool.BeginTx(WithEntry(context.Background(), entry), nil)
	require.NoError(e.t, err)
	return tx, entry
}

// notes are the table's rows, read by a transaction whose own entry is asked as well.
func (e *entries) notes() (found []string) {
	e.t.Helper()
	tx, entry := e.begin(Step{Text: "SELECT $1::bigint", Args: []string{"7"}})
	rows, err := tx.Query(`SELECT text FROM notes WHERE text <> $1 ORDER BY text`, "")
	require.NoError(e.t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(e.t, rows.Scan(&text))
		found = append(found, text)
	}
	require.NoError(e.t, rows.Err())
	require.EqualValues(e.t, 7, entry.Answer)
	require.NoError(e.t, tx.Commit())
	require.Equal(e.t, 1, e.pool.Stats().OpenConnections)
	return found
}

const addNote = `INSERT INTO notes VALUES ($1)`

// eachWay runs a test with statements that are prepared, and ones that are not.
func eachWay(t *testing.T, test func(t *testing.T, e *entries)) {
	t.Parallel()
	for name, statements := range map[string]int{"prepared": 8, "not prepared": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newEntries(t, statements))
		})
	}
}

// TestEntryGoesAhead of the first statement, whatever that is, or of COMMIT.
func TestEntryGoesAhead(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		inside := Step{Text: `INSERT INTO notes SELECT $1 || count(*) FROM notes`, Args: []string{"entered"}}
		tx, _ := e.begin(inside)
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"entered0"}, e.notes())

		tx, _ = e.begin(inside)
		_, err := tx.Exec(addNote, "with arguments")
		require.NoError(t, err)
		_, err = tx.Exec(addNote, "another")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"another", "entered0", "entered1", "with arguments"}, e.notes())

		tx, _ = e.begin(inside)
		var n int
		require.NoError(t, tx.QueryRow(`SELECT count(*) FROM notes WHERE text <> $1`, "").Scan(&n))
		require.Equal(t, 5, n)
		require.NoError(t, tx.QueryRow(`SELECT count(*) FROM notes`).Scan(&n), "behind that also without arguments")
		require.Equal(t, 5, n)
		require.NoError(t, tx.Rollback())
		require.Len(t, e.notes(), 4)
	})
}

// TestWhatCannotBeFirst: behind a BEGIN that failed it would run by itself.
func TestWhatCannotBeFirst(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		for _, use := range []func(tx *sql.Tx) error{
			func(tx *sql.Tx) error {
				_, err := tx.Exec(`INSERT INTO notes VALUES ('never')`)
				return err
			},
			func(tx *sql.Tx) error { return tx.QueryRow(`SELECT 1`).Scan(new(int)) },
			func(tx *sql.Tx) error {
				statement, err := tx.Prepare(`COPY notes FROM STDIN`)
				if err == nil {
					defer statement.Close()
				}
				return err
			},
		} {
			tx, _ := e.begin()
			require.ErrorIs(t, use(tx), errFirst)
			require.NoError(t, tx.Rollback())
			require.Empty(t, e.notes())
		}
	})
}

// TestNothingIsSentForNothing: a transaction that is rolled back before its first statement
// has never begun.
func TestNothingIsSentForNothing(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		tx, _ := e.begin(Step{Text: "no SQL at all"})
		require.NoError(t, tx.Rollback())
		require.Empty(t, e.notes())
	})
}

// TestRefusedAhead: a refused entry is the error of whatever came with it, of which nothing is
// done, and the connection can be used on.
func TestRefusedAhead(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		refuses := Step{Text: `SELECT 1 / $1::int`, Args: []string{"0"}}
		for name, use := range map[string]func(tx *sql.Tx) error{
			"arguments": func(tx *sql.Tx) error {
				_, err := tx.Exec(addNote, "never")
				return err
			},
			"rows": func(tx *sql.Tx) error {
				var n int
				return tx.QueryRow(`SELECT count(*) FROM notes WHERE text <> $1`, "").Scan(&n)
			},
			"nothing": func(tx *sql.Tx) error {
				err := tx.Commit()
				require.ErrorIs(t, err, ErrBeforeCommit)
				return err
			},
		} {
			for range 2 { // the second time some of it is prepared
				tx, _ := e.begin(refuses)
				require.ErrorContains(t, use(tx), "division by zero", name)
				_ = tx.Rollback()
				require.Empty(t, e.notes(), name)
			}
		}
		tx, _ := e.begin()
		_, err := tx.Exec(addNote, "a")
		require.NoError(t, err)
		_, err = tx.Exec(addNote, "a")
		require.ErrorContains(t, err, "notes_pkey", "an error of a later statement is its own")
		require.NoError(t, tx.Rollback())
	})
}

// TestRefusedByTheDriver: what is never sent takes nothing with it.
func TestRefusedByTheDriver(t *testing.T) {
	t.Parallel()
	e := newEntries(t, 8)
	tx, entry := e.begin(Step{Text: "SELECT 5::bigint"})
	_, err := tx.Exec(addNote, "one", "too many")
	require.ErrorContains(t, err, "parameters")
	require.Zero(t, entry.Answer)
	_, err = tx.Exec(addNote, "a")
	require.NoError(t, err)
	require.EqualValues(t, 5, entry.Answer)
	require.NoError(t, tx.Commit())
	require.Equal(t, []string{"a"}, e.notes())
}

// TestNothingWasSent: lib/pq may believe that it awaits an answer to what it refused itself.
func TestNothingWasSent(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		tx, _ := e.begin()
		_, err := tx.Exec(addNote, make([]any, 65_536)...)
		require.Error(t, err)
		require.NoError(t, tx.Rollback())
		require.Empty(t, e.notes())
	})
}

// TestNoticesAhead: a notice in the midst of an entry is no answer to it.
func TestNoticesAhead(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		tx, _ := e.begin(Step{Text: `DO $$ BEGIN RAISE NOTICE 'so'; RAISE WARNING 'and so'; END $$`})
		_, err := tx.Exec(addNote, "a")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"a"}, e.notes())
	})
}

// TestAnswersInPieces: a message may come in any number of reads.
func TestAnswersInPieces(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		taken, err := e.pool.Conn(context.Background())
		require.NoError(t, err)
		require.NoError(t, taken.Raw(func(c any) error {
			w := c.(*conn).wire
			w.Conn = dripping{w.Conn}
			return nil
		}))
		require.NoError(t, taken.Close())
		for range 2 {
			require.Empty(t, e.notes())
			tx, _ := e.begin(Step{Text: `SELECT 1 / $1::int`, Args: []string{"0"}})
			require.ErrorContains(t, tx.QueryRow(`SELECT $1`, "a").Scan(new(string)), "division by zero")
			require.NoError(t, tx.Rollback())
		}
	})
}

type dripping struct{ net.Conn }

func (d dripping) Read(b []byte) (int, error) { return d.Conn.Read(b[:1]) }

// TestForgottenSteps: a server that has forgotten what was prepared shows it once. It did not
// even begin, and lib/pq gives such a connection up.
func TestForgottenSteps(t *testing.T) {
	t.Parallel()
	e := newEntries(t, 8)
	require.Empty(t, e.notes())
	e.forget()
	tx, _ := e.begin()
	_, err := tx.Exec(addNote, "a")
	require.True(t, Stale(err), "%v", err)
	for _, text := range []string{`INSERT INTO notes VALUES ('never')`, addNote} { // it did not even begin: they would run by themselves
		_, err := tx.Exec(text, []any{"nor this"}[:strings.Count(text, "$")]...)
		require.True(t, Stale(err), "%v", err)
	}
	_, err = tx.ExecContext(WithLast(context.Background()), addNote, "nor that")
	require.True(t, Stale(err), "%v", err)
	require.ErrorIs(t, tx.Commit(), ErrBeforeCommit)
	require.Empty(t, e.notes())
	tx, _ = e.begin()
	_, err = tx.Exec(addNote, "b")
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	require.Equal(t, []string{"b"}, e.notes())
}

// TestLastGoesWithCommit: it is there when the transaction has committed, and takes it along
// when it fails.
func TestLastGoesWithCommit(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		last := WithLast(context.Background())
		add := func(last context.Context, end func(*sql.Tx) error, notes ...string) error {
			tx, _ := e.begin()
			_, err := tx.Exec(addNote, notes[0])
			require.NoError(t, err)
			for _, note := range notes[1:] {
				if _, err := tx.ExecContext(last, addNote, note); err != nil {
					_ = tx.Rollback()
					return err
				}
			}
			return end(tx)
		}
		require.NoError(t, add(last, (*sql.Tx).Rollback, "a", "b"))
		require.Empty(t, e.notes())
		require.NoError(t, add(last, (*sql.Tx).Commit, "a", "b", "c"))
		require.Equal(t, []string{"a", "b", "c"}, e.notes())
		for range 2 {
			err := add(last, (*sql.Tx).Commit, "d", "e", "a")
			var taken *pq.Error
			require.ErrorAs(t, err, &taken)
			require.Equal(t, "notes_pkey", taken.Constraint)
			require.Equal(t, []string{"a", "b", "c"}, e.notes())
		}
	})
}

// TestLastComesFirst: without a statement before it there is nothing to wait with it for.
func TestLastComesFirst(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		tx, _ := e.begin()
		_, err := tx.ExecContext(WithLast(context.Background()), addNote, "a")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"a"}, e.notes())
	})
}

// TestForgottenCommit: nothing was committed, and the next try works.
func TestForgottenCommit(t *testing.T) {
	t.Parallel()
	e := newEntries(t, 8)
	captured := func(note string) error {
		tx, _ := e.begin()
		_, err := tx.Exec(addNote, note)
		require.NoError(t, err)
		_, err = tx.ExecContext(WithLast(context.Background()), addNote, note+" captured")
		require.NoError(t, err)
		return tx.Commit()
	}
	require.NoError(t, captured("a"))
	tx, _ := e.begin()
	_, err := tx.Exec(addNote, "b")
	require.NoError(t, err)
	_, err = tx.ExecContext(WithLast(context.Background()), addNote, "b captured")
	require.NoError(t, err)
	_, err = tx.Exec(`DEALLOCATE ALL`)
	require.NoError(t, err)
	err = tx.Commit()
	require.ErrorIs(t, err, ErrBeforeCommit)
	require.True(t, Stale(err), "%v", err)
	require.Equal(t, []string{"a", "a captured"}, openEntries(t, e.dsn, 8).notes())
}

// forget has the server forget whatever was prepared, behind the connection's back.
func (e *entries) forget() {
	e.t.Helper()
	tx, err := e.pool.BeginTx(WithEntry(context.Background(), &Entry{Text: "BEGIN; DEALLOCATE ALL"}), nil)
	require.NoError(e.t, err)
	require.NoError(e.t, tx.Commit())
}

// TestRoundTrips counts what is sent: each is answered before the next.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	e := newEntries(t, 8)
	var writes atomic.Int64
	count := func() {
		taken, err := e.pool.Conn(context.Background())
		require.NoError(t, err)
		require.NoError(t, taken.Raw(func(c any) error {
			w := c.(*conn).wire
			w.Conn = counted{w.Conn, &writes}
			return nil
		}))
		require.NoError(t, taken.Close())
	}
	count()
	run := func(capture bool, note string) int64 {
		before := writes.Load()
		tx, _ := e.begin(Step{Text: "SELECT $1::bigint", Args: []string{"1"}})
		_, err := tx.Exec(addNote, note)
		require.NoError(t, err)
		if capture {
			_, err := tx.ExecContext(WithLast(context.Background()), addNote, note+" captured")
			require.NoError(t, err)
		}
		require.NoError(t, tx.Commit())
		return writes.Load() - before
	}
	run(true, "first") // prepares
	require.EqualValues(t, 2, run(false, "a"), "one for the entry and the statement, one for COMMIT")
	require.EqualValues(t, 2, run(true, "b"), "one for the entry and the statement, one for the last and COMMIT")
}

type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}
