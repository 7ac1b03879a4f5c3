package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// CopyRows is the one argument of an Exec of a COPY ... FROM STDIN in the binary format:
// its header, rows and trailer, in pieces of any size. A piece that was yielded may be
// overwritten.
type CopyRows iter.Seq[[]byte]

// copying is a COPY that we speak ourselves, between two statements of lib/pq's, when nothing
// of the server's is unread: lib/pq knows the text format alone, which costs both sides
// more than the rows do.
type copying struct {
	conn *conn
	text string
}

var errNoCopy = errors.New("of what is prepared this pool serves COPY alone, which takes its rows as CopyRows")

// CheckNamedValue lets CopyRows through to ExecContext.
func (copying) CheckNamedValue(v *driver.NamedValue) error {
	if _, ok := v.Value.(CopyRows); ok {
		return nil
	}
	return errNoCopy
}

// NumInput implements driver.Stmt: ExecContext counts.
func (copying) NumInput() int { return -1 }

// Close implements driver.Stmt.
func (copying) Close() error { return nil }

// Exec implements driver.Stmt.
func (copying) Exec([]driver.Value) (driver.Result, error) { return nil, errNoCopy }

// Query implements driver.Stmt.
func (copying) Query([]driver.Value) (driver.Rows, error) { return nil, errNoCopy }

// ExecContext sends the rows and learns the outcome. A connection on which that fails
// otherwise than by the server's word is closed.
func (s copying) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if len(args) != 1 {
		return nil, errNoCopy
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer s.conn.wire.heed(ctx)()
	rows, sound, err := s.copy(ctx, args[0].Value.(CopyRows))
	if !sound { // lib/pq would wait for an answer to ROLLBACK
		_ = s.conn.wire.Conn.Close()
	}
	return driver.RowsAffected(rows), err
}

// copy says how many rows the server took, and whether it is ready for what comes next.
func (s copying) copy(ctx context.Context, all CopyRows) (rows int64, sound bool, err error) {
	server := pgproto3.NewFrontend(s.conn.wire, s.conn.wire)
	server.Send(&pgproto3.Query{String: s.text})
	if err := server.Flush(); err != nil {
		return 0, false, err
	}
	_, ready, err := copyAnswer(server)
	if err == nil && ready {
		err = errors.New("the server expects no rows")
	}
	if err != nil {
		return 0, ready, err
	}
	if err := copyRows(ctx, server, iter.Seq[[]byte](all)); err != nil {
		return 0, false, err
	}
	return copyAnswer(server)
}

// copyRows sends rows, or that there will be no more since ctx has ended.
func copyRows(ctx context.Context, server *pgproto3.Frontend, pieces iter.Seq[[]byte]) error {
	for piece := range pieces {
		if ctx.Err() != nil {
			server.Send(&pgproto3.CopyFail{Message: "cancelled"})
			return server.Flush()
		}
		server.Send(&pgproto3.CopyData{Data: piece})
		if err := server.Flush(); err != nil {
			return err
		}
	}
	server.Send(&pgproto3.CopyDone{})
	return server.Flush()
}

// copyAnswer reads until the server wants rows, or (ready) is done, and says how many it took.
func copyAnswer(server *pgproto3.Frontend) (rows int64, ready bool, err error) {
	for {
		message, receiving := server.Receive()
		if receiving != nil {
			return 0, false, receiving
		}
		switch m := message.(type) {
		case *pgproto3.CopyInResponse:
			return 0, false, nil
		case *pgproto3.CommandComplete:
			rows = pgconn.NewCommandTag(string(m.CommandTag)).RowsAffected()
		case *pgproto3.ErrorResponse:
			err = asServerError(pgconn.ErrorResponseToPgError(m))
		case *pgproto3.ReadyForQuery:
			return rows, true, err
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus, *pgproto3.NotificationResponse:
		default:
			return 0, false, fmt.Errorf("the server answers a COPY by %T", m)
		}
	}
}
