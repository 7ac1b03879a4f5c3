package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"iter"
)

// CopyLines is the one argument of an Exec of a COPY statement: rows in COPY's text
// format, in pieces of whole lines without the newline of the last one. Row by row
// database/sql would take longer than the server. A piece that was yielded may be
// overwritten.
type CopyLines iter.Seq[[]byte]

// copying is lib/pq's COPY statement, which takes one row per Exec, made to take many.
type copying struct{ driver.Stmt }

// CheckNamedValue lets CopyLines through to ExecContext.
func (copying) CheckNamedValue(v *driver.NamedValue) error {
	if _, ok := v.Value.(CopyLines); ok {
		return nil
	}
	return errors.New("a COPY takes its rows as CopyLines")
}

// ExecContext sends the rows; without arguments it ends the COPY and learns the outcome.
func (c copying) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	stream, ok := c.Stmt.(interface {
		CopyData(ctx context.Context, lines string) (driver.Result, error)
	})
	if !ok {
		return nil, errors.New("lib/pq's COPY takes no lines")
	}
	for _, arg := range args {
		for lines := range iter.Seq[[]byte](arg.Value.(CopyLines)) {
			if _, err := stream.CopyData(ctx, string(lines)); err != nil {
				return nil, err
			}
		}
	}
	if len(args) > 0 {
		return driver.RowsAffected(0), nil
	}
	return c.Exec(nil) //nolint:staticcheck // what lib/pq has
}
