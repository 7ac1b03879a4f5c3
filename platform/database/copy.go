package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"iter"
)

// CopyRows is the one argument of an Exec of a COPY statement: all rows of a chunk
// at once. Row by row database/sql would take longer than the server. The slice that
// is yielded may be used again.
type CopyRows iter.Seq[[]driver.Value]

// copying is lib/pq's COPY statement, which takes one row per Exec, made to take many.
type copying struct{ driver.Stmt }

// CheckNamedValue lets CopyRows through to ExecContext.
func (copying) CheckNamedValue(v *driver.NamedValue) error {
	if _, ok := v.Value.(CopyRows); ok {
		return nil
	}
	return errors.New("a COPY takes its rows as CopyRows")
}

// ExecContext sends the rows; without arguments it ends the COPY and learns the outcome.
func (c copying) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, arg := range args {
		for row := range iter.Seq[[]driver.Value](arg.Value.(CopyRows)) {
			if _, err := c.Exec(row); err != nil { //nolint:staticcheck // what lib/pq has
				return nil, err
			}
		}
	}
	if len(args) > 0 {
		return driver.RowsAffected(0), nil
	}
	return c.Exec(nil) //nolint:staticcheck // what lib/pq has
}
