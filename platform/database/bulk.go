package database

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// readAtOnce is how much of a server's rows is read by one call: pgconn would ask the kernel,
// and set a deadline, for every few of them.
const readAtOnce = 128 << 10

// OpenBulk opens a pool for ReadBinary alone. lib/pq makes a value of every column of
// every row, which costs more than the server takes to send them; pgconn hands out
// what came over the wire. It connects at first use. patience is OpenPostgres's.
func OpenBulk(dsn string, patience time.Duration, gate Gate) (*sql.DB, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the DSN is not understood")
	}
	if patience, err = patienceSaid(cfg.RuntimeParams[answerTimeout], patience); err != nil {
		return nil, err
	}
	cfg.DialFunc = patientDialer{newDialer(), patience}.DialContext
	delete(cfg.RuntimeParams, "binary_parameters") // lib/pq's own
	delete(cfg.RuntimeParams, answerTimeout)       // ours, and heeded
	cfg.RuntimeParams["default_transaction_read_only"] = "on"
	// Rows that came lately are unknown to the planner's statistics: it would sort all
	// of them for each page, where the primary key has them in order.
	cfg.RuntimeParams["enable_sort"] = "off"
	cfg.RuntimeParams["max_parallel_workers_per_gather"] = "0"
	cfg.RuntimeParams["jit"] = "off"
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, readAtOnce), w)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	return sql.OpenDB(bulkConnector{cfg, gate}), nil
}

// ReadBinary runs one query, which is one snapshot, and calls fn with each row: its
// values in the server's binary format, nil for NULL, valid until fn returns. fn says
// whether it wants more. Arguments are strings and int64.
func ReadBinary(ctx context.Context, db *sql.DB, text string, args []any, fn func(values [][]byte) (more bool, err error)) error {
	params := make([][]byte, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case string:
			params[i] = []byte(a)
		case int64:
			params[i] = strconv.AppendInt(nil, a, 10)
		default:
			return fmt.Errorf("argument $%d is a %T", i+1, a)
		}
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return asServerError(err)
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		inner := c.(*bulkConn).PgConn
		err := asServerError(readBinary(ctx, inner, text, params, fn))
		if err != nil && inner.IsClosed() {
			return fmt.Errorf("%w: %w", driver.ErrBadConn, err) // makes database/sql forget it
		}
		return err
	})
}

func readBinary(ctx context.Context, c *pgconn.PgConn, text string, params [][]byte, fn func(values [][]byte) (bool, error)) error {
	rows := c.ExecParams(ctx, text, params, nil, nil, []int16{1})
	for rows.NextRow() {
		more, err := fn(rows.Values())
		if err != nil {
			_, _ = rows.Close()
			return err
		}
		if !more {
			break
		}
	}
	_, err := rows.Close()
	return err
}

// asServerError says in lib/pq's words what the server said, so that errors have one form.
func asServerError(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err
	}
	return &pq.Error{
		Severity: e.Severity, Code: pqerror.Code(e.Code), Message: e.Message, Detail: e.Detail, Hint: e.Hint,
		Schema: e.SchemaName, Table: e.TableName, Column: e.ColumnName, Constraint: e.ConstraintName, Routine: e.Routine,
	}
}

type bulkConnector struct {
	cfg  *pgconn.Config
	gate Gate
}

func (c bulkConnector) Connect(ctx context.Context) (driver.Conn, error) {
	var inner *pgconn.PgConn
	var w *wire
	err := c.gate.through(ctx, &w, func(ctx context.Context) (err error) {
		inner, err = pgconn.ConnectConfig(ctx, c.cfg)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &bulkConn{PgConn: inner, used: time.Now()}, nil
}

func (c bulkConnector) Driver() driver.Driver { return &pq.Driver{} }

// bulkConn is pooled by database/sql and used through Raw alone.
type bulkConn struct {
	*pgconn.PgConn
	used time.Time
}

var errBulk = errors.New("this pool serves ReadBinary alone")

func (c *bulkConn) Prepare(string) (driver.Stmt, error) { return nil, errBulk }
func (c *bulkConn) Begin() (driver.Tx, error)           { return nil, errBulk }
func (c *bulkConn) IsValid() bool                       { return !c.IsClosed() }
func (c *bulkConn) Close() error                        { return c.PgConn.Close(context.Background()) }

// ResetSession asks a connection that was idle for a while whether its server is still there.
func (c *bulkConn) ResetSession(ctx context.Context) error {
	idle := time.Since(c.used) > time.Second
	c.used = time.Now()
	if c.IsClosed() || idle && c.Ping(ctx) != nil {
		return driver.ErrBadConn
	}
	return nil
}
