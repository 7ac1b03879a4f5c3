package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/platform/database"
	"smartseller/platform/ids"
)

// tx is what a module sees of an application transaction.
type tx struct {
	store   *Store
	session *Session
	ctx     context.Context
	write   bool
	now     time.Time
	ended   bool
	failed  error // of the first statement that failed: from then on nothing can be trusted

	captured map[backends.Key]struct{}
	order    []backends.Key
}

func (t *tx) Now() time.Time                    { return t.now }
func (t *tx) Storefront() backends.StorefrontID { return t.store.place.Storefront }

// Get implements backends.Tx.
func (t *tx) Get(dst any, s *backends.Statement, args ...any) error {
	found := false
	err := t.run(s, true, args, func(rows *sql.Rows, columns []string, key []any) error {
		into, err := newScanner(dst, columns, key)
		if err != nil {
			return err
		}
		for rows.Next() {
			if found {
				return fmt.Errorf("%s: more than one row where one was expected", s.Site)
			}
			found = true
			if err := into.scan(rows); err != nil {
				return err
			}
			t.capture(s, key)
		}
		return nil
	})
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}

// Select implements backends.Tx.
func (t *tx) Select(dst any, s *backends.Statement, args ...any) error {
	return t.run(s, true, args, func(rows *sql.Rows, columns []string, key []any) error {
		into, err := newSliceScanner(dst, columns, key)
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := into.scan(rows); err != nil {
				return err
			}
			t.capture(s, key)
		}
		return nil
	})
}

// Exec implements backends.Tx.
func (t *tx) Exec(s *backends.Statement, args ...any) (int64, error) {
	return t.exec(s, args)
}

// ExecMany implements backends.Tx. The rows of a statement are a power of two, so
// that it needs a handful of texts.
func (t *tx) ExecMany(s *backends.Statement, rows [][]any) (written int64, err error) {
	_, width, err := s.ForRows(1)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if len(row) != width {
			return 0, fmt.Errorf("%s: a row has %d arguments, the statement takes %d", s.Site, len(row), width)
		}
	}
	per := max(1, (maxParameters-1)/max(1, width))
	for len(rows) > 0 {
		n := 1 << (bits.Len(uint(min(per, len(rows)))) - 1)
		wide, _, err := s.ForRows(n)
		if err != nil {
			return written, err
		}
		args := slices.Concat(rows[:n]...)
		got, err := t.exec(wide, args)
		if err != nil {
			return written, err
		}
		written += got
		rows = rows[n:]
	}
	return written, nil
}

func (t *tx) exec(s *backends.Statement, args []any) (int64, error) {
	var n int64
	err := t.run(s, false, args, func(rows *sql.Rows, columns []string, key []any) error {
		discard := make([]any, len(columns), len(columns)+1)
		for i := range discard {
			discard[i] = new(any)
		}
		discard = append(discard, key...)
		for rows.Next() {
			if err := rows.Scan(discard...); err != nil {
				return err
			}
			t.capture(s, key)
			n++
		}
		return nil
	})
	return n, err
}

// run checks and runs one statement and hands its rows to read, which must go
// through all of them. columns are the module's own; key is the place for the
// key that a Write returns behind them, and empty for other kinds.
func (t *tx) run(s *backends.Statement, rows bool, args []any, read func(rows *sql.Rows, columns []string, key []any) error) error {
	if t.ended {
		return fmt.Errorf("%s: the transaction has ended", s.Site)
	}
	if t.failed != nil {
		return fmt.Errorf("%s: an earlier statement of the transaction had failed: %w", s.Site, t.failed)
	}
	err := t.check(s, rows)
	if err == nil {
		err = t.query(s, args, read)
	}
	if err != nil {
		t.failed = t.store.classify(t.ctx, err)
	}
	return t.failed
}

func (t *tx) check(s *backends.Statement, rows bool) error {
	writes := s.Kind == backends.WriteStatement
	switch {
	case !t.write && s.Kind != backends.ReadStatement:
		return fmt.Errorf("%s: %w", s.Site, backends.ErrReadOnly)
	case rows && writes && !s.Returning:
		return fmt.Errorf("%s: a Write without RETURNING has no rows to read: use Exec", s.Site)
	case !rows && !writes:
		return fmt.Errorf("%s: Exec runs a Write: use Get or Select", s.Site)
	}
	return nil
}

func (t *tx) query(s *backends.Statement, args []any, read func(*sql.Rows, []string, []any) error) (err error) {
	s, args, err = s.ForLists(args)
	if err != nil {
		return err
	}
	bound, err := bind(string(t.store.place.Storefront), args)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Site, err)
	}
	rows, err := t.session.QueryContext(t.ctx, t.store.dialect.Statement(s), bound...)
	if err != nil {
		return err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	var key []any
	if s.Kind == backends.WriteStatement {
		columns = columns[:len(columns)-1]
		key = []any{new(string)}
	}
	if err := read(rows, columns, key); err != nil {
		return err
	}
	return rows.Err()
}

// capture remembers the key of a row just written, while a move wants to know.
func (t *tx) capture(s *backends.Statement, key []any) {
	if len(key) == 0 || !t.session.Capture() || s.Table.Class == backends.Local {
		return
	}
	k := backends.Key{Table: s.Table.Name, ID: *key[0].(*string)}
	if _, known := t.captured[k]; known {
		return
	}
	if t.captured == nil {
		t.captured = map[backends.Key]struct{}{}
	}
	t.captured[k] = struct{}{}
	t.order = append(t.order, k)
}

// recordKeys writes the captured keys, last thing before COMMIT, or together with it. An entry is
// append-only with an id of its own: an entry shared with another transaction
// could be forgotten before this one's change is visible.
func (t *tx) recordKeys() error {
	if len(t.order) == 0 {
		return nil
	}
	err := InsertRows(database.WithLast(t.ctx), t.session.Tx, t.store.dialect.Text, t.Storefront(), backends.CapturedTable, entryRows(t.order))
	if err != nil {
		t.failed = t.store.classify(t.ctx, err)
	}
	return t.failed
}

// entryRows makes rows of captured_keys or to_verify.
func entryRows(keys []backends.Key) []backends.Row {
	rows := make([]backends.Row, len(keys))
	for i, k := range keys {
		rows[i] = backends.Row{k.Table + entryMark + ids.New(), k.Table, k.ID}
	}
	return rows
}
