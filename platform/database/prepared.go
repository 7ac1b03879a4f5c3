package database

import (
	"container/list"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/lib/pq"
)

// longestPrepared bounds the texts that are prepared. Longer ones are lists of
// many rows or keys, whose rows cost more than their parsing, and whose plans
// would take the server's memory on every connection.
const longestPrepared = 2048

// errReading says that a result was not read to its end or closed before the
// next statement: on one connection the answers would be mixed up.
var errReading = errors.New("a statement was run while another one's rows were still being read")

// prepared keeps a connection's prepared statements by their text, the least
// recently used are given up. Parsing and planning cost the server more than
// most statements themselves.
type prepared struct {
	limit  int
	byText map[string]*list.Element // of *statement
	recent *list.List               // most recent first
}

type statement struct {
	text string
	driver.Stmt
}

func newPrepared(limit int) *prepared {
	return &prepared{limit: limit, byText: map[string]*list.Element{}, recent: list.New()}
}

// suits says whether a statement is worth preparing: one without arguments goes
// as simple text and may be several statements.
func (p *prepared) suits(text string, args []driver.NamedValue) bool {
	return p.limit > 0 && len(args) > 0 && len(text) <= longestPrepared
}

// get finds a text's statement, or prepares it, which costs one round trip.
func (p *prepared) get(ctx context.Context, c *conn, text string) (*statement, error) {
	if e := p.byText[text]; e != nil {
		p.recent.MoveToFront(e)
		return e.Value.(*statement), nil
	}
	if len(p.byText) >= p.limit {
		oldest := p.recent.Back().Value.(*statement)
		p.forget(oldest)
		if err := oldest.Close(); err != nil {
			return nil, err
		}
	}
	inner, err := c.pqConn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s := &statement{text: text, Stmt: inner}
	p.byText[text] = p.recent.PushFront(s)
	return s, nil
}

// Prepare prepares texts on a connection of [OpenEntered], ahead of whoever runs them first: the
// server then knows the tables and policies that they name. A text that the server declines is
// passed over: whoever runs it is told.
func Prepare(ctx context.Context, c *sql.Conn, texts []string) error {
	return c.Raw(func(inner any) error {
		own, ok := inner.(*conn)
		if !ok {
			return fmt.Errorf("not a connection of ours: %T", inner)
		}
		if own.prepared.limit == 0 {
			return nil
		}
		defer own.wire.heed(ctx)()
		var declined *pq.Error
		for _, text := range texts {
			if len(text) > longestPrepared {
				continue
			}
			_, err := own.prepared.get(ctx, own, text)
			if err != nil && (!errors.As(err, &declined) || !own.IsValid()) {
				return err
			}
		}
		return nil
	})
}

func (p *prepared) forget(s *statement) {
	if e := p.byText[s.text]; e != nil && e.Value == s {
		p.recent.Remove(e)
		delete(p.byText, s.text)
	}
}

// Stale says that a prepared statement cannot be used any more: a migration
// changed the columns of its answer, or the server has forgotten it. The
// connection has forgotten it too, so the same transaction, run again, works.
func Stale(err error) bool {
	var e *pq.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code == "26000" || e.Code == "0A000" && e.Routine == "RevalidateCachedQuery"
}

// query runs a prepared statement; its rows must be closed before the next one.
func (c *conn) query(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.prepared.get(ctx, c, text)
	if err != nil {
		return nil, err
	}
	var rows driver.Rows
	err = c.entered(func() (err error) {
		rows, err = s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
		return err
	})
	if err != nil {
		return nil, c.unlessStale(s, err)
	}
	c.reading = true
	return &openRows{Rows: rows, conn: c}, nil
}

func (c *conn) exec(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.prepared.get(ctx, c, text)
	if err != nil {
		return nil, err
	}
	var result driver.Result
	err = c.entered(func() (err error) {
		result, err = s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
		return err
	})
	return result, c.unlessStale(s, err)
}

// unlessStale gives a statement up that the server has given up.
func (c *conn) unlessStale(s *statement, err error) error {
	if !Stale(err) {
		return err
	}
	c.prepared.forget(s)
	if closing := s.Close(); closing != nil {
		return fmt.Errorf("%w (and the server did not take it back: %w)", err, closing)
	}
	return err
}

// openRows marks its connection as being read until it is closed. lib/pq itself
// keeps watch only over statements that are not prepared.
type openRows struct {
	driver.Rows
	conn *conn
}

func (r *openRows) Close() error {
	r.conn.reading = false
	return r.Rows.Close()
}
