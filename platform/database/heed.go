package database

import (
	"context"
	"database/sql/driver"
	"sync"
	"time"
)

// confirmation is how long a server may take to confirm that a statement, whose context
// has ended, was cancelled.
const confirmation = time.Second

// heed lets the end of a context end what waits for this wire, until ended is called.
// lib/pq asks the server to cancel, and then reads on until that answers.
func (w *wire) heed(ctx context.Context) (ended func()) {
	var late sync.Mutex // what the context does after ended was called
	over := false
	stop := context.AfterFunc(ctx, func() {
		late.Lock()
		defer late.Unlock()
		if !over {
			_ = w.SetDeadline(time.Now().Add(confirmation)) // of a connection that is closed already
		}
	})
	return func() {
		if stop() {
			return
		}
		late.Lock()
		defer late.Unlock()
		over = true
		_ = w.SetDeadline(time.Time{})
	}
}

// plainConnector makes connections that heed the ends of contexts.
type plainConnector struct{ driver.Connector }

func (c plainConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, w, err := connect(ctx, c.Connector, nil)
	if err != nil {
		return nil, err
	}
	return &plainConn{inner, w}, nil
}

type plainConn struct {
	pqConn
	wire *wire
}

func (c *plainConn) Ping(ctx context.Context) error {
	defer c.wire.heed(ctx)()
	return c.pqConn.Ping(ctx)
}

func (c *plainConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	defer c.wire.heed(ctx)()
	return c.pqConn.BeginTx(ctx, o)
}

func (c *plainConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	defer c.wire.heed(ctx)()
	return c.pqConn.QueryContext(ctx, text, args)
}

func (c *plainConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	defer c.wire.heed(ctx)()
	return c.pqConn.ExecContext(ctx, text, args)
}
