package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"smartseller/backends"
)

// maxParameters is below every engine's limit of bound values in one statement
// (SQLite 32,766, Postgres 65,535) and large enough that a bigger one gains nothing.
const maxParameters = 4000

// InsertRows adds rows by multi-row INSERT statements. text turns a portable
// text into the engine's. The rows of a statement are a power of two, so that a
// table needs a handful of texts.
func InsertRows(ctx context.Context, tx *sql.Tx, text func(string) string, storefront backends.StorefrontID, t *backends.Table, rows []backends.Row) error {
	per := max(1, (maxParameters-1)/len(t.Columns))
	for len(rows) > 0 {
		n := 1 << (bits.Len(uint(min(per, len(rows)))) - 1)
		args := make([]any, 1, 1+n*len(t.Columns))
		args[0] = string(storefront)
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if _, err := tx.ExecContext(ctx, text(insertText(t, n)), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func insertText(t *backends.Table, rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + t.Name + " (storefront_id, " + columnList(t) + ") VALUES ")
	n := 1
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("($1")
		for range t.Columns {
			n++
			b.WriteString(", $" + strconv.Itoa(n))
		}
		b.WriteString(")")
	}
	return b.String()
}

// checkPage holds rows to their table: a value of another type would be stored
// differently by each engine, or converted without a word, and text that one
// engine took from a foreign hand may be refused by the next.
func checkPage(p *backends.Page) error {
	for i := range p.Len() {
		err := p.Values(i, func(column int, v backends.Value) error {
			c := p.Table.Columns[column]
			if v.Type != c.Type && (v.Type != 0 || !c.Null) {
				return fmt.Errorf("%s.%s of row %q cannot hold what it is given", p.Table.Name, c.Name, p.ID(i))
			}
			if v.Type == backends.Text && (!utf8.Valid(v.Bytes) || bytes.IndexByte(v.Bytes, 0) >= 0) {
				return fmt.Errorf("%s.%s of row %q holds text that is no UTF-8 or has a NUL, which not every engine takes: correct it", p.Table.Name, c.Name, p.ID(i))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rowReader reads rows as the driver hands them out, without a copy in between. What
// a value may be is checked where rows are written (checkPage).
type rowReader struct {
	width int
	into  []any
}

func newRowReader(t *backends.Table) *rowReader {
	return &rowReader{width: len(t.Columns), into: make([]any, len(t.Columns))}
}

func (r *rowReader) row(rows *sql.Rows) (backends.Row, error) {
	row := make(backends.Row, r.width)
	for i := range row {
		r.into[i] = &row[i]
	}
	return row, rows.Scan(r.into...)
}
