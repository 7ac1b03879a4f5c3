package postgres

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/platform/database"
)

// Page implements sqlstore.Dialect.
func (d *Dialect) Page(ctx context.Context, page *backends.Page, text string, args []any) error {
	return classify(database.ReadBinary(ctx, d.Pools.Bulk, text, args, func(values [][]byte) (bool, error) {
		for i, c := range page.Table.Columns {
			v := values[i]
			switch {
			case v == nil:
				page.Null()
			case c.Type == backends.Text:
				page.Text(v)
			case c.Type == backends.Bytes:
				page.Bytes(v)
			case len(v) == 8:
				page.Integer(int64(binary.BigEndian.Uint64(v)))
			default:
				return false, fmt.Errorf("%s.%s is no bigint here", page.Table.Name, c.Name)
			}
		}
		return !page.Full(), page.End()
	}))
}

// fromMover ends a mover's COPY, and tells it from everybody else's.
const fromMover = "FROM STDIN /* a page of a move */"

// copyFrom is the number of rows from which COPY beats INSERT.
const copyFrom = 50

// Insert implements sqlstore.Dialect.
func (d *Dialect) Insert(ctx context.Context, tx *sql.Tx, storefront backends.StorefrontID, page *backends.Page) (err error) {
	if page.Len() < copyFrom {
		return sqlstore.InsertRows(ctx, tx, d.Text, storefront, page.Table, page.Rows())
	}
	text := "COPY " + page.Table.Name + " (storefront_id"
	for _, c := range page.Table.Columns {
		text += ", " + c.Name
	}
	stmt, err := tx.PrepareContext(ctx, text+") "+fromMover)
	if err != nil {
		return err
	}
	defer func() {
		if closing := stmt.Close(); err == nil {
			err = closing
		}
	}()
	if _, err := stmt.ExecContext(ctx, database.CopyLines(copyLines(storefront, page))); err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx) // sends what is left and learns the outcome
	return err
}

// copyBytes is how much is handed to the driver at once.
const copyBytes = 32 << 10

// copyLines are a page's rows in COPY's text format.
func copyLines(storefront backends.StorefrontID, page *backends.Page) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		lines := make([]byte, 0, 2*copyBytes)
		for i := range page.Len() {
			if len(lines) > 0 {
				lines = append(lines, '\n')
			}
			lines = appendLine(lines, storefront, page, i)
			if len(lines) >= copyBytes || i == page.Len()-1 {
				if !yield(lines) {
					return
				}
				lines = lines[:0]
			}
		}
	}
}

func appendLine(line []byte, storefront backends.StorefrontID, page *backends.Page, row int) []byte {
	line = appendEscaped(line, []byte(storefront))
	_ = page.Values(row, func(_ int, v backends.Value) error { // fn gives none
		line = append(line, '\t')
		switch v.Type {
		case backends.Text:
			line = appendEscaped(line, v.Bytes)
		case backends.Integer:
			line = strconv.AppendInt(line, v.Integer, 10)
		case backends.Bytes:
			line = hex.AppendEncode(append(line, `\\x`...), v.Bytes)
		default:
			line = append(line, `\N`...)
		}
		return nil
	})
	return line
}

// appendEscaped adds text; a backslash and what ends a value or a row are escaped.
func appendEscaped(line, text []byte) []byte {
	from := 0
	for i, c := range text {
		var escaped byte
		switch c {
		case '\\':
			escaped = '\\'
		case '\t':
			escaped = 't'
		case '\n':
			escaped = 'n'
		case '\r':
			escaped = 'r'
		default:
			continue
		}
		line = append(append(line, text[from:i]...), '\\', escaped)
		from = i + 1
	}
	return append(line, text[from:]...)
}
