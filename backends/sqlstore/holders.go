package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sort"
	"strings"

	"smartseller/backends"
)

// holderBatch is how many rows one search for holders asks for: each is a term
// of a disjunction, whose depth SQLite bounds at 1,000.
const holderBatch = 100

// holders finds the rows outside the batch that hold unique keys of its rows.
func (s *Store) holders(ctx context.Context, c *changes, b backends.Batch) ([]backends.Key, error) {
	found := map[backends.Key]bool{}
	err := s.snapshot(ctx, "Apply", func(m *mover) error {
		for _, t := range c.tables {
			for _, u := range t.Uniques {
				if err := m.findHolders(t, u, c.rows[t], found); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, k := range b.Keys {
		delete(found, k)
	}
	out := make([]backends.Key, 0, len(found))
	for k := range found {
		out = append(out, k)
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Table < out[j].Table || out[i].Table == out[j].Table && out[i].ID < out[j].ID
	})
	return out, nil
}

// findHolders asks who holds the unique keys of rows. The predicate of a partial
// key is tested on the holder only: a row of the batch that it leaves out may
// name a holder too many, which costs one more key to read and is never wrong.
func (m *mover) findHolders(t *backends.Table, u backends.Unique, rows []backends.Row, found map[backends.Key]bool) error {
	for len(rows) > 0 {
		n := min(holderBatch, len(rows))
		text, args := holderText(t, u, rows[:n])
		rows = rows[n:]
		if len(args) == 0 {
			continue
		}
		err := m.each(text, args, func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			found[backends.Key{Table: t.Name, ID: id}] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func holderText(t *backends.Table, u backends.Unique, rows []backends.Row) (string, []any) {
	var terms []string
	var args []any
	for _, r := range rows {
		values := make([]any, len(u.Columns))
		parts := make([]string, len(u.Columns))
		null := false
		for i, name := range u.Columns {
			values[i] = r[t.Column(name)]
			parts[i] = fmt.Sprintf("%s = $%d", name, len(args)+i+2)
			null = null || values[i] == nil
		}
		if null {
			continue // NULLs are never equal
		}
		terms = append(terms, "("+strings.Join(parts, " AND ")+")")
		args = append(args, values...)
	}
	text := `SELECT id FROM ` + t.Name + ` WHERE storefront_id = $1 AND (` + strings.Join(terms, " OR ") + `)`
	if u.Where != "" {
		text += ` AND (` + u.Where + `)`
	}
	return text, args
}
