package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"smartseller/backends"
	"smartseller/platform/database"
)

// Captured implements backends.Store.
func (s *Store) Captured(ctx context.Context, table string, limit int) ([]backends.Entry, error) {
	return s.entries(ctx, "Captured", backends.CapturedTable, table, limit)
}

// ToVerify implements backends.Store.
func (s *Store) ToVerify(ctx context.Context, limit int) ([]backends.Entry, error) {
	return s.entries(ctx, "ToVerify", backends.VerifyTable, "", limit)
}

// What stands between the table's name and what is an entry's own in its id, and what comes
// right behind that: the entries of a table are a range of the primary key.
// The ids that instances of an older program write, beside this one's, have no table's name
// and begin with a digit: they are below noTable.
const (
	entryMark     = ":"
	pastEntryMark = ";"
	noTable       = "A"
)

func (s *Store) entries(ctx context.Context, verb string, t *backends.Table, table string, limit int) ([]backends.Entry, error) {
	text, args := selectText(t)+` ORDER BY id LIMIT $2`, []any{int64(limit)}
	if table != "" {
		text = selectText(t) + ` AND id > $3 AND id < $4 UNION ALL ` + selectText(t) + ` AND id < $5 AND table_name = $6 ORDER BY id LIMIT $2`
		args = append(args, table+entryMark, table+pastEntryMark, noTable, table)
	}
	var out []backends.Entry
	err := s.snapshot(ctx, verb, func(m *mover) error {
		return m.each(text, args, func(rows *sql.Rows) error {
			var e backends.Entry
			err := rows.Scan(&e.ID, &e.Table, &e.Key.ID)
			out = append(out, e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Backlog implements backends.Store.
func (s *Store) Backlog(ctx context.Context) (n int64, err error) {
	err = s.snapshot(ctx, "Backlog", func(m *mover) error {
		n, err = m.Count(backends.CapturedTable)
		return err
	})
	return n, err
}

// Forget implements backends.Store.
func (s *Store) Forget(ctx context.Context, token backends.Token, entries []backends.Entry) error {
	return s.removeEntries(ctx, "Forget", token, backends.CapturedTable, entries)
}

// Verified implements backends.Store.
func (s *Store) Verified(ctx context.Context, token backends.Token, entries []backends.Entry) error {
	return s.removeEntries(ctx, "Verified", token, backends.VerifyTable, entries)
}

// removeEntries waits for no disk: entries that are back after a crash are worked through again.
func (s *Store) removeEntries(ctx context.Context, verb string, token backends.Token, t *backends.Table, entries []backends.Entry) error {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	return s.changeIn(ctx, verb, Fill, 0, func(m *mover) error {
		return m.guard(token, func(m *mover, _ backends.Fence) error { return m.remove(t, ids) })
	})
}

// Progress implements backends.Store.
func (s *Store) Progress(ctx context.Context) ([]backends.Progress, error) {
	var out []backends.Progress
	err := s.snapshot(ctx, "Progress", func(m *mover) error {
		return m.each(selectText(backends.ProgressTable)+` ORDER BY id`, nil, func(rows *sql.Rows) error {
			var p backends.Progress
			var done int64
			err := rows.Scan(&p.Table, &p.Cursor, &p.Through, &p.Copied, &done)
			p.Done = done != 0
			out = append(out, p)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// setProgress records progress behind the one that it follows: the commits of chunks do
// not wait for the disk, so that a server which died may have forgotten some.
func (m *mover) setProgress(p backends.Progress) error {
	var at string
	_, err := m.one(`SELECT cursor FROM move_progress WHERE storefront_id = $1 AND id = $2`, []any{p.Table}, &at)
	if err != nil {
		return err
	}
	if at != p.After {
		return fmt.Errorf("%w (table %s)", backends.ErrProgress, p.Table)
	}
	_, err = m.exec(`INSERT INTO move_progress (storefront_id, id, cursor, through, copied, done) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (storefront_id, id) DO UPDATE SET cursor = excluded.cursor, through = excluded.through, copied = excluded.copied, done = excluded.done`,
		p.Table, p.Cursor, p.Through, p.Copied, database.Truth(p.Done))
	return err
}
