package control

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"

	"smartseller/platform/fault"
)

// ErrAway says that the control database does not answer, or can take no writes.
var ErrAway = fault.New(fault.Unavailable, "control_database_away",
	"The control database does not answer or takes no writes: see that it runs and has room, then try again.").Retry(1)

// errFull is ErrAway where it is known what is the matter.
var errFull = fault.New(ErrAway.Kind, ErrAway.Code, "The control database's disk is full: make room there, then try again.").Retry(ErrAway.RetryAfter)

// awayIf is ErrAway because of err, when the database itself is the cause of that.
func awayIf(err error) error {
	var p *pq.Error
	var s sqlite3.Error
	var n net.Error
	lost, full := false, false
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // which is a net.Error too
	case errors.As(err, &p):
		lost, full = awayPostgres(p), p.Code == "53100"
	case errors.As(err, &s):
		lost, full = awaySQLite(s), s.Code == sqlite3.ErrFull
	default:
		lost = errors.As(err, &n) || broken(err)
	}
	switch {
	case full:
		return errFull.Because(err)
	case lost:
		return ErrAway.Because(err)
	}
	return err
}

// broken says that a connection ended, other than one that was never made: it may have
// lain in the pool since before the server went away and came back.
func broken(err error) bool {
	var operation *net.OpError
	var p *pq.Error
	return errors.As(err, &operation) && operation.Op != "dial" && !operation.Timeout() ||
		errors.As(err, &p) && (p.Code == "57P01" || p.Code == "57P02") || // shut down, crashed
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func awayPostgres(p *pq.Error) bool {
	switch p.Code {
	case "57014": // a statement was cancelled
		return false
	case "25006", "3D000", "55000": // read-only, there is none, it admits nobody
		return true
	}
	switch p.Code.Class() {
	case "08", "57", "53", "28", "58": // connection, shutdown, resources, login, the machine
		return true
	}
	return false
}

func awaySQLite(s sqlite3.Error) bool {
	switch s.Code {
	case sqlite3.ErrCantOpen, sqlite3.ErrIoErr, sqlite3.ErrFull, sqlite3.ErrReadonly, sqlite3.ErrNotADB, sqlite3.ErrCorrupt, sqlite3.ErrPerm:
		return true
	}
	return false
}
