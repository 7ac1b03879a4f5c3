package database

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"iter"
	"net"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// copyOf are rows of one text each, in COPY's binary format, a row in a piece.
func copyOf(texts ...string) CopyRows {
	return func(yield func([]byte) bool) {
		if !yield([]byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")) {
			return
		}
		for _, text := range texts {
			row := binary.BigEndian.AppendUint32([]byte{0, 1}, uint32(len(text)))
			if !yield(append(row, text...)) {
				return
			}
		}
		yield([]byte{0xff, 0xff})
	}
}

// begun is a transaction in which something has been said.
func (e *entries) begun() *sql.Tx {
	tx, _ := e.begin()
	_, err := tx.Exec(`SELECT $1::text`, "")
	require.NoError(e.t, err)
	return tx
}

func copyInto(ctx context.Context, tx *sql.Tx, text string, rows CopyRows) (n int64, err error) {
	statement, err := tx.PrepareContext(ctx, text)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, statement.Close()) }()
	result, err := statement.ExecContext(ctx, rows)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// TestCopy: rows that the server takes, and those that it refuses at once or in the middle,
// after which the connection can be used on.
func TestCopy(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		ctx := context.Background()
		tx := e.begun()
		n, err := copyInto(ctx, tx, `COPY BINARY notes FROM STDIN`, copyOf("a", "", "ü\n\\N\t"))
		require.NoError(t, err)
		require.EqualValues(t, 3, n)
		_, err = tx.Exec(addNote, "behind it")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		there := e.notes()
		require.ElementsMatch(t, []string{"a", "behind it", "ü\n\\N\t"}, there)

		for text, code := range map[string]string{
			`COPY BINARY nothing FROM STDIN`: "42P01",
			`COPY BINARY notes FROM STDIN`:   "23505",
			`SELECT 1`:                       "",
		} {
			tx := e.begun()
			_, err := copyInto(ctx, tx, text, copyOf("b", "a", "c"))
			require.Error(t, err, text)
			var said *pq.Error
			require.Equal(t, code != "", errors.As(err, &said), "%s: %v", text, err)
			if said != nil {
				require.EqualValues(t, code, said.Code)
			}
			if rollback := tx.Rollback(); said != nil {
				require.NoError(t, rollback)
			}
			require.Equal(t, there, e.notes(), text)
		}
	})
}

// TestCopyAtAServerThatSaysNothing is given up once, and its transaction's end waits no more.
func TestCopyAtAServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	e := newEntries(t, 10)
	holder, err := sql.Open("postgres", e.dsn)
	require.NoError(t, err)
	defer holder.Close()
	lock, err := holder.Begin()
	require.NoError(t, err)
	_, err = lock.Exec(`LOCK TABLE notes`)
	require.NoError(t, err)
	impatient := openEntries(t, e.dsn+"&answer_timeout=2", 10)
	tx := impatient.begun()
	_, err = copyInto(context.Background(), tx, `COPY BINARY notes FROM STDIN`, copyOf("a"))
	var slow net.Error
	require.ErrorAs(t, err, &slow)
	require.True(t, slow.Timeout())
	began := time.Now()
	require.Error(t, tx.Rollback())
	require.Less(t, time.Since(began), time.Second, "half of what an answer is waited for")
	require.NoError(t, lock.Rollback())
	require.Empty(t, e.notes())
}

// TestCopyHeedsItsContext, also where rows come for ever, and leaves nothing behind.
func TestCopyHeedsItsContext(t *testing.T) {
	eachWay(t, func(t *testing.T, e *entries) {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		var endless CopyRows = func(yield func([]byte) bool) {
			next, stop := iter.Pull(iter.Seq[[]byte](copyOf("x")))
			defer stop()
			header, _ := next()
			if !yield(header) {
				return
			}
			for yield([]byte{0, 1, 0, 0, 0, 0}) { // a value of no bytes, again and again
			}
		}
		tx := e.begun()
		_, err := tx.Exec(`CREATE TEMPORARY TABLE many (text text)`)
		require.NoError(t, err)
		_, err = copyInto(ctx, tx, `COPY BINARY many FROM STDIN`, endless)
		require.Error(t, err)
		_ = tx.Rollback() // whichever way the connection fares
		require.Empty(t, e.notes())
	})
}
