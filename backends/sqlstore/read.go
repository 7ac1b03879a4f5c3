package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"smartseller/backends"
	"smartseller/platform/database"
)

// Read implements backends.Store. fn runs once: it may have handed on what it read.
func (s *Store) Read(ctx context.Context, fn func(backends.Reader) error) error {
	return s.snapshot(ctx, "Read", func(m *mover) error { return fn(m) })
}

// Schema implements backends.Store. The first requests wait for it, so it queues as they do.
func (s *Store) Schema(ctx context.Context) (schema database.Schema, err error) {
	err = s.retry(ctx, func() (error, bool) {
		err := s.move(ctx, s.lanes.Read, "Schema", Snapshot, MoverWait, func(m *mover) (err error) {
			schema, err = s.dialect.Schema(ctx, m.tx)
			return err
		})
		return err, Retryable(err)
	})
	return schema, err
}

var _ backends.Reader = (*mover)(nil)

// Rows implements backends.Reader.
func (m *mover) Rows(keys []backends.Key) (map[backends.Key]backends.Row, error) {
	out, _, err := m.rowsWithin(keys, math.MaxInt)
	return out, err
}

// SomeRows implements backends.Reader.
func (m *mover) SomeRows(keys []backends.Key) (rows map[backends.Key]backends.Row, rest []backends.Key, err error) {
	return m.rowsWithin(keys, scanBytes)
}

// rowsWithin reads rows until they take so many bytes. Of the keys of a statement that was cut
// off only those are done whose rows came.
func (m *mover) rowsWithin(keys []backends.Key, left int) (out map[backends.Key]backends.Row, rest []backends.Key, err error) {
	out = make(map[backends.Key]backends.Row, len(keys))
	byTable, err := m.store.group(keys)
	if err != nil {
		return nil, nil, err
	}
	for t, found := range byTable {
		size := firstList
		for len(found) > 0 {
			ids, before := found[:min(size, len(found))], left
			if left > 0 {
				if left, err = m.rowsOf(t, ids, left, out); err != nil {
					return nil, nil, m.failed(err)
				}
			}
			for _, id := range ids {
				if k := (backends.Key{Table: t.Name, ID: id}); left <= 0 && out[k] == nil {
					rest = append(rest, k)
				}
			}
			if found = found[len(ids):]; before-left < left/(backends.MaxList/firstList) {
				size = backends.MaxList
			}
		}
	}
	return out, rest, nil
}

// firstList is how many keys are asked for before it is known how wide their rows are: what a
// statement finds that is cut off travels all the same.
const firstList = 64

// rowsOf adds the rows of a table's keys until they take so many bytes, and says how many are left.
func (m *mover) rowsOf(t *backends.Table, ids []string, left int, into map[backends.Key]backends.Row) (int, error) {
	read := newRowReader(t)
	err := inLists(ids, func(list string, args []any) error {
		return m.each(selectText(t)+" AND id IN "+list, args, func(rows *sql.Rows) error {
			row, err := read.row(rows)
			if err != nil {
				return err
			}
			into[backends.Key{Table: t.Name, ID: row.Key()}] = row
			if left -= row.Size(); left <= 0 {
				return errPageFull
			}
			return nil
		})
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	return left, err
}

// Page implements backends.Store.
func (s *Store) Page(ctx context.Context, page *backends.Page, after, through string, limit int) (more bool, err error) {
	if ctx.Value(insideKey{}) != nil {
		return false, backends.ErrNested
	}
	giveBack, err := s.lanes.MoverRead.take(ctx, ask{verb: "Page", wait: MoverWait})
	if err != nil {
		return false, s.noTurn(ctx, err)
	}
	defer giveBack()
	page.Begin()
	before := page.Len()
	text, args := pageText(page.Table, after, through, limit)
	err = s.dialect.Page(ctx, page, s.dialect.Text(text), append([]any{string(s.place.Storefront)}, args...))
	return page.Full() || page.Len()-before == limit, s.classify(ctx, err)
}

func pageText(t *backends.Table, after, through string, limit int) (text string, args []any) {
	if through == "" {
		return selectText(t) + ` AND id > $2 ORDER BY id LIMIT $3`, []any{after, int64(limit)}
	}
	return selectText(t) + ` AND id > $2 AND id <= $4 ORDER BY id LIMIT $3`, []any{after, int64(limit), through}
}

// scanBytes ends a scan, wherever its limit is, and a reading of rows by key that need not be whole.
const scanBytes = 4 << 20

var errPageFull = errors.New("the page is full")

// Scan implements backends.Reader.
func (m *mover) Scan(t *backends.Table, after, through string, limit int) (page []backends.Row, more bool, err error) {
	text, args := pageText(t, after, through, limit)
	read, left := newRowReader(t), scanBytes
	err = m.each(text, args, func(rows *sql.Rows) error {
		row, err := read.row(rows)
		if err != nil {
			return err
		}
		page = append(page, row)
		if left -= row.Size(); left <= 0 {
			return errPageFull
		}
		return nil
	})
	full := errors.Is(err, errPageFull)
	if full {
		err = nil
	}
	return page, full || len(page) == limit, m.failed(err)
}

// Orphan implements backends.Reader. An aggregate keeps a planner from looking for
// the first row only, which there is none of as a rule.
func (m *mover) Orphan(t *backends.Table, ref backends.Reference) (string, error) {
	var id string
	err := m.whole(`SELECT COALESCE(min(a.id), '') FROM `+t.Name+` a WHERE a.storefront_id = $1 AND a.`+ref.Column+` IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM `+ref.Table+` b WHERE b.storefront_id = $1 AND b.id = a.`+ref.Column+`)`, &id)
	return id, m.failed(err)
}

// Stranger implements backends.Reader. Below and above the storefront's id is where
// the key's index leads at once.
func (m *mover) Stranger(t *backends.Table) (string, error) {
	if len(m.store.pools) == 0 { // places share the database
		return "", nil
	}
	var id string
	_, err := m.one(`SELECT COALESCE((SELECT id FROM `+t.Name+` WHERE storefront_id < $1 LIMIT 1),
		(SELECT id FROM `+t.Name+` WHERE storefront_id > $1 LIMIT 1), '')`, nil, &id)
	return id, m.failed(err)
}

// LastKey implements backends.Reader.
func (m *mover) LastKey(t *backends.Table) (string, error) {
	var key string
	_, err := m.one(`SELECT id FROM `+t.Name+` WHERE storefront_id = $1 ORDER BY id DESC LIMIT 1`, nil, &key)
	return key, m.failed(err)
}

// Count implements backends.Reader.
func (m *mover) Count(t *backends.Table) (int64, error) {
	var n int64
	err := m.whole(`SELECT count(*) FROM `+t.Name+` WHERE storefront_id = $1`, &n)
	return n, m.failed(err)
}

// Shape implements backends.Reader.
func (m *mover) Shape(t *backends.Table) (columns []backends.Column, uniques []string, err error) {
	columnsText, uniquesText := m.store.dialect.Shape()
	err = m.eachRow(columnsText, []any{t.Name}, func(rows *sql.Rows) error {
		var c backends.Column
		var declared string
		err := rows.Scan(&c.Name, &declared, &c.Null)
		if c.Name != "storefront_id" {
			c.Type = typeOf(declared)
			columns = append(columns, c)
		}
		return err
	})
	if err != nil {
		return nil, nil, m.failed(err)
	}
	err = m.eachRow(uniquesText, []any{t.Name}, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		uniques = append(uniques, name)
		return err
	})
	return columns, uniques, m.failed(err)
}

// typeOf is the portable type that an engine's own stands for; 0 for any other.
func typeOf(declared string) backends.Type {
	switch strings.ToLower(declared) {
	case "text":
		return backends.Text
	case "bigint", "integer": // SQLite's only integer is one of 64 bits
		return backends.Integer
	case "bytea", "blob":
		return backends.Bytes
	}
	return 0
}

// Sums implements backends.Reader.
func (m *mover) Sums(t *backends.Table) ([]int64, error) {
	wanted := backends.SumsOf(t, func(column string) string { return "octet_length(" + column + ")" })
	sums := make([]int64, len(wanted))
	into := make([]any, len(wanted))
	for i := range sums {
		into[i] = &sums[i]
	}
	err := m.whole(`SELECT `+strings.Join(wanted, ", ")+` FROM `+t.Name+` WHERE storefront_id = $1`, into...)
	return sums, m.failed(err)
}

func (m *mover) failed(err error) error { return m.store.classify(m.ctx, err) }

func selectText(t *backends.Table) string {
	return "SELECT " + columnList(t) + " FROM " + t.Name + " WHERE storefront_id = $1"
}

func columnList(t *backends.Table) string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// group sorts keys by table; a table that the catalog does not know, or that
// does not move, is an error.
func (s *Store) group(keys []backends.Key) (map[*backends.Table][]string, error) {
	out := map[*backends.Table][]string{}
	for _, k := range keys {
		t := s.catalog.Table(k.Table)
		if t == nil {
			return nil, fmt.Errorf("key of the unknown table %s", k.Table)
		}
		out[t] = append(out[t], k.ID)
	}
	return out, nil
}

// inLists calls fn with lists "($2, $3, ...)" and their arguments until every id
// was in one. Lists repeat their last id up to one of a few sizes, so that a table
// needs as few texts.
func inLists(ids []string, fn func(list string, args []any) error) error {
	for len(ids) > 0 {
		n := min(backends.MaxList, len(ids))
		args := make([]any, backends.ListSize(n))
		for i := range args {
			args[i] = ids[min(i, n-1)]
		}
		if err := fn(listText(len(args)), args); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func listText(size int) string {
	marks := make([]string, size)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+2)
	}
	return "(" + strings.Join(marks, ", ") + ")"
}
