package postgres

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

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

// A mover's COPY begins and ends so, which tells it from everybody else's. BINARY has stood
// here since before COPY had options; behind STDIN, where they stand today, older instances
// would not know whose it is.
const (
	copyBinary = "COPY BINARY "
	fromMover  = "FROM STDIN /* a page of a move */"
)

// copyFrom is the number of rows from which COPY beats INSERT.
const copyFrom = 50

// Insert implements sqlstore.Dialect.
func (d *Dialect) Insert(ctx context.Context, tx *sql.Tx, storefront backends.StorefrontID, page *backends.Page) (err error) {
	if page.Len() < copyFrom {
		return sqlstore.InsertRows(ctx, tx, d.Text, storefront, page.Table, page.Rows())
	}
	text := copyBinary + page.Table.Name + " (storefront_id"
	for _, c := range page.Table.Columns {
		text += ", " + c.Name
	}
	stmt, err := tx.PrepareContext(ctx, text+") "+fromMover)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	_, err = stmt.ExecContext(ctx, database.CopyRows(copyRows(storefront, page)))
	return err
}

// copyBytes is how much is sent at once.
const copyBytes = 64 << 10

// copyRows are a page's rows in COPY's binary format: signature, flags, length of an
// extension; each row as the number of its values and each value behind its length; and
// the end (documentation of COPY, "Binary Format").
func copyRows(storefront backends.StorefrontID, page *backends.Page) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		out := make([]byte, 0, copyBytes+copyBytes/8)
		out = append(out, "PGCOPY\n\xff\r\n\x00"+"\x00\x00\x00\x00"+"\x00\x00\x00\x00"...)
		for i := range page.Len() {
			out = appendRow(out, storefront, page, i)
			if len(out) >= copyBytes {
				if !yield(out) {
					return
				}
				out = out[:0]
			}
		}
		yield(append(out, "\xff\xff"...))
	}
}

func appendRow(out []byte, storefront backends.StorefrontID, page *backends.Page, row int) []byte {
	out = binary.BigEndian.AppendUint16(out, uint16(1+len(page.Table.Columns)))
	out = append(binary.BigEndian.AppendUint32(out, uint32(len(storefront))), storefront...)
	_ = page.Values(row, func(_ int, v backends.Value) error { // fn gives none
		switch v.Type {
		case backends.Text, backends.Bytes:
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(v.Bytes))), v.Bytes...)
		case backends.Integer:
			out = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(out, 8), uint64(v.Integer))
		default:
			out = append(out, "\xff\xff\xff\xff"...)
		}
		return nil
	})
	return out
}
