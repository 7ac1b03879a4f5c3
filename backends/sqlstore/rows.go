package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"smartseller/backends"
)

// maxParameters is below every engine's limit of bound values in one statement
// (SQLite 32,766, Postgres 65,535) and large enough that a bigger one gains nothing.
const maxParameters = 8000

// InsertRows adds rows by multi-row INSERT statements. text turns a portable
// text into the engine's.
func InsertRows(ctx context.Context, tx *sql.Tx, text func(string) string, storefront backends.StorefrontID, t *backends.Table, rows []backends.Row) error {
	per := max(1, (maxParameters-1)/len(t.Columns))
	for len(rows) > 0 {
		n := min(per, len(rows))
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
	b.WriteString("INSERT INTO " + t.Name + " (storefront_id")
	for _, c := range t.Columns {
		b.WriteString(", " + c.Name)
	}
	b.WriteString(") VALUES ")
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
