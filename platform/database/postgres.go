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
	defer w.heed(ctx)()
	for _, text := range c.settings {
		if _, err := full.ExecContext(ctx, text, nil); err != nil {
			return nil, errors.Join(err, full.Close())
		}
	}
	made := &conn{pqConn: full, wire: w, prepared: newPrepared(c.statements)}
	if c.statements > 0 {
		made.named = map[string]string{}
	}
	return made, nil
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
	entry    *Entry    // not sent yet
	unsent   bool      // a statement that it was to go ahead of was not sent
	refused  error     // why there was no entry: nothing of this transaction may run
	last     []Step    // go ahead of COMMIT
	reading  bool      // a prepared statement's rows are open
	used     time.Time // when it was taken from the pool last
	prepared *prepared
	named    map[string]string // texts of steps to names of their prepared statements; nil: not to be prepared
}

// lately is how long a connection is believed to be alive. The retries of a transaction that met
// dead ones take longer in all.
const lately = 10 * time.Millisecond

func (c *conn) IsValid() bool { return !c.open && c.pqConn.IsValid() }

func (c *conn) ResetSession(ctx context.Context) error {
	before := c.used
	c.used = time.Now()
	if c.open || c.used.Sub(before) > lately && !c.wire.alive() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// BeginTx sends the entry, or has it go ahead of what comes first. Whatever goes wrong,
// nothing is left open.
func (c *conn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	entry, ok := ctx.Value(entryKey{}).(*Entry)
	if !ok {
		return nil, ErrNoEntry
	}
	c.open, c.unsent, c.refused = true, false, nil
	if len(entry.Steps) > 0 {
		c.entry = entry
		return c, nil
	}
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
// transaction it says ROLLBACK, which lib/pq turns into an error. (Behind an entry alone and
// behind last statements it cannot say so.)
func (c *conn) Commit() error {
	switch {
	case c.refused != nil:
		_ = c.Rollback() // one that fails leaves the connection open, which closes it
		return fmt.Errorf("%w: %w", ErrBeforeCommit, c.refused)
	case c.entry != nil:
		return c.commitNothing()
	case len(c.last) > 0:
		return c.commitBehind()
	}
	return c.ends(c.pqConn.Commit())
}

// Rollback ends the transaction. After a failed Commit the server may have ended
// it already; the connection is then closed rather than trusted.
func (c *conn) Rollback() error {
	waited := c.entry != nil
	c.entry, c.last = nil, nil
	switch {
	case waited && c.unsent:
		return nil // and closed, since it counts as open
	case waited: // nothing was sent
		return c.ends(nil)
	}
	return c.ends(c.pqConn.Rollback())
}

// ends notes that the end was confirmed, if it was.
func (c *conn) ends(err error) error {
	if err == nil {
		c.open = false
	}
	return err
}

// may says whether a statement may run now; behind: an entry can go ahead of it.
func (c *conn) may(behind bool) error {
	switch {
	case !c.open:
		return ErrOutsideTransaction
	case c.refused != nil:
		return c.refused
	case c.reading:
		return errReading
	case c.entry != nil && !behind:
		return errFirst
	}
	return nil
}

func (c *conn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (rows driver.Rows, err error) {
	if c.open || ctx.Value(alone{}) == nil {
		if err := c.may(len(args) > 0); err != nil {
			return nil, err
		}
	}
	defer c.wire.heed(ctx)()
	defer c.wire.awaitLong(ctx)()
	if c.prepared.suits(text, args) {
		return c.query(ctx, text, args)
	}
	err = c.entered(func() (err error) {
		rows, err = c.pqConn.QueryContext(ctx, text, args)
		return err
	})
	return rows, err
}

func (c *conn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (result driver.Result, err error) {
	if err := c.may(len(args) > 0); err != nil {
		return nil, err
	}
	suits := c.prepared.suits(text, args)
	if step, ok := asLast(ctx, text, args); ok && suits && c.entry == nil {
		c.last = append(c.last, step)
		return driver.ResultNoRows, nil
	}
	defer c.wire.heed(ctx)()
	if suits {
		return c.exec(ctx, text, args)
	}
	defer c.wire.awaitLong(ctx)()
	err = c.entered(func() (err error) {
		result, err = c.pqConn.ExecContext(ctx, text, args)
		return err
	})
	return result, err
}

// PrepareContext serves COPY, whose rows are given as CopyRows. The server hears of it with
// them.
func (c *conn) PrepareContext(_ context.Context, text string) (driver.Stmt, error) {
	if err := c.may(false); err != nil {
		return nil, err
	}
	return copying{c, text}, nil
}

// Prepare is PrepareContext for whoever does not know it.
func (c *conn) Prepare(text string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), text)
}
