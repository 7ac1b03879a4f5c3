package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"
)

// Entry is the text that begins a transaction, in one round trip: BEGIN and
// whatever must have happened before the first statement. It has no arguments,
// so values in it must be quoted literals.
type Entry struct {
	Text string
	// Answer is the first column of the text's last row, when it returned one.
	Answer int64
}

type entryKey struct{}

// WithEntry hands an entry to the BeginTx of a pool made by OpenEntered.
func WithEntry(ctx context.Context, e *Entry) context.Context {
	return context.WithValue(ctx, entryKey{}, e)
}

type alone struct{}

// WithAlone lets one statement of a pool made by OpenEntered run outside of a
// transaction: one that enters by itself.
func WithAlone(ctx context.Context) context.Context { return context.WithValue(ctx, alone{}, true) }

// Errors of entered pools.
var (
	ErrNoEntry            = errors.New("a transaction of this pool begins with an entry, and the context has none")
	ErrOutsideTransaction = errors.New("this pool runs statements inside entered transactions only")
)

// OpenEntered opens a pool whose transactions begin with the entry in their
// context, and which runs nothing else but statements WithAlone. lib/pq gives a
// connection back to the pool whatever its transaction's status; here one whose end was not
// confirmed is closed instead. It connects at first use. statements bounds the
// prepared statements that each connection keeps; through a transaction pooler it
// must be 0: there another session may hold the connection's next statement.
// patience is OpenPostgres's. settings are run once on each new connection.
func OpenEntered(dsn string, statements int, patience time.Duration, gate Gate, settings ...string) (*sql.DB, error) {
	inner, err := newConnector(dsn, patience)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{inner, gate, statements, settings}), nil
}

// PostgresDSN completes a postgres:// URL: binary_parameters, without which a
// transaction-pooling proxy could run another client's statement, and a bound
// time to connect. sslmode must be said. Who logs in, and where, stands in the URL
// alone: a parameter would win over what was judged, and drivers differ in that.
func PostgresDSN(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", errors.New("the DSN must be postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE")
	}
	q := u.Query()
	for _, name := range []string{"user", "password", "dbname", "database", "service", "servicefile"} {
		if q.Has(name) {
			return "", fmt.Errorf("the DSN must not have the parameter %s: say it as in postgres://USER:PASSWORD@HOST:PORT/DATABASE", name)
		}
	}
	if q.Get("sslmode") == "" {
		return "", errors.New("the DSN must say sslmode (verify-full, require, disable)")
	}
	q.Set("binary_parameters", "yes")
	if q.Get("connect_timeout") == "" {
		q.Set("connect_timeout", "5")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

type connector struct {
	driver.Connector
	gate       Gate
	statements int
	settings   []string
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	full, w, err := connect(ctx, c.Connector, c.gate)
	if err != nil {
		return nil, err
	}
	for _, text := range c.settings {
		if _, err := full.ExecContext(ctx, text, nil); err != nil {
			return nil, errors.Join(err, full.Close())
		}
	}
	return &conn{pqConn: full, wire: w, prepared: newPrepared(c.statements)}, nil
}

// connect makes a connection of lib/pq's and tells its wire.
func connect(ctx context.Context, through driver.Connector, gate Gate) (full pqConn, w *wire, err error) {
	var inner driver.Conn
	err = gate.through(ctx, &w, func(ctx context.Context) (err error) {
		inner, err = through.Connect(ctx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	full, ok := inner.(pqConn)
	if !ok || w == nil {
		return nil, nil, errors.Join(fmt.Errorf("lib/pq's connection lacks a method that is needed, or was not made by our dialer: %T", inner), inner.Close())
	}
	return full, w, nil
}

// pqConn is what lib/pq's connection can do.
type pqConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.Tx
	driver.QueryerContext
	driver.ExecerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// conn is one connection. open is true from before BEGIN is sent until the end
// was confirmed; database/sql uses a connection from one goroutine at a time.
type conn struct {
	pqConn
	wire     *wire
	open     bool
	reading  bool // a prepared statement's rows are open
	prepared *prepared
}

func (c *conn) IsValid() bool { return !c.open && c.pqConn.IsValid() }

func (c *conn) ResetSession(ctx context.Context) error {
	if c.open {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// BeginTx sends the entry. Whatever goes wrong, nothing is left open.
func (c *conn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	entry, ok := ctx.Value(entryKey{}).(*Entry)
	if !ok {
		return nil, ErrNoEntry
	}
	c.open = true
	defer c.wire.heed(ctx)()
	if err := c.enter(ctx, entry); err != nil {
		_ = c.Rollback() // one that fails leaves the connection open, which closes it
		return nil, err
	}
	return c, nil
}

func (c *conn) enter(ctx context.Context, entry *Entry) (err error) {
	rows, err := c.pqConn.QueryContext(ctx, entry.Text, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for {
		row := make([]driver.Value, len(rows.Columns()))
		for {
			err := rows.Next(row)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if n, ok := row[0].(int64); ok {
				entry.Answer = n
			}
		}
		next, ok := rows.(driver.RowsNextResultSet)
		if !ok || !next.HasNextResultSet() {
			return nil
		}
		if err := next.NextResultSet(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Commit confirms the end only when the server said COMMIT: in a failed
// transaction it says ROLLBACK, which lib/pq turns into an error.
func (c *conn) Commit() error {
	err := c.pqConn.Commit()
	if err == nil {
		c.open = false
	}
	return err
}

// Rollback ends the transaction. After a failed Commit the server may have ended
// it already; the connection is then closed rather than trusted.
func (c *conn) Rollback() error {
	err := c.pqConn.Rollback()
	if err == nil {
		c.open = false
	}
	return err
}

func (c *conn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	switch {
	case !c.open && ctx.Value(alone{}) == nil:
		return nil, ErrOutsideTransaction
	case c.reading:
		return nil, errReading
	}
	defer c.wire.heed(ctx)()
	defer c.wire.awaitLong(ctx)()
	if c.prepared.suits(text, args) {
		return c.query(ctx, text, args)
	}
	return c.pqConn.QueryContext(ctx, text, args)
}

func (c *conn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	switch {
	case !c.open:
		return nil, ErrOutsideTransaction
	case c.reading:
		return nil, errReading
	}
	defer c.wire.heed(ctx)()
	if c.prepared.suits(text, args) {
		return c.exec(ctx, text, args)
	}
	defer c.wire.awaitLong(ctx)()
	return c.pqConn.ExecContext(ctx, text, args)
}

// PrepareContext serves COPY, whose rows are given as CopyLines.
func (c *conn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	switch {
	case !c.open:
		return nil, ErrOutsideTransaction
	case c.reading:
		return nil, errReading
	}
	statement, err := c.pqConn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	return copying{statement}, nil
}

// Prepare is PrepareContext for whoever does not know it.
func (c *conn) Prepare(text string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), text)
}
