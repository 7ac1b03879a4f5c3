package database

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// answerTimeout is the DSN's parameter for how many seconds a server may take for an
// answer. It is ours: lib/pq would hand it to the server.
const answerTimeout = "answer_timeout"

// OpenPostgres opens an ordinary pool. It connects at first use. patience is how long a
// server may take for an answer, unless the DSN says answer_timeout (seconds); 0: as
// long as its machine, or a proxy before it, can be reached.
func OpenPostgres(dsn string, patience time.Duration) (*sql.DB, error) {
	c, err := newConnector(dsn, patience)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(plainConnector{c}), nil
}

func newConnector(dsn string, patience time.Duration) (*pq.Connector, error) {
	dsn, err := PostgresDSN(dsn)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("the DSN is not understood")
	}
	q := u.Query()
	if patience, err = patienceSaid(q.Get(answerTimeout), patience); err != nil {
		return nil, err
	}
	q.Del(answerTimeout)
	u.RawQuery = q.Encode()
	plain, secured, err := withoutTLS(u.String())
	if err != nil {
		return nil, err
	}
	if secured {
		if _, err := securities(u.String()); err != nil {
			return nil, err
		}
	}
	c, err := pq.NewConnector(plain)
	if err != nil {
		return nil, errors.New("the DSN is not understood")
	}
	dialer := patientDialer{newDialer(), patience}
	if c.Dialer(dialer); secured {
		c.Dialer(secureDialer{dialer, u.String()})
	}
	return c, nil
}

// patienceSaid is the patience that a DSN asks for, or (seconds "": nothing) the usual one.
func patienceSaid(seconds string, usual time.Duration) (time.Duration, error) {
	if seconds == "" {
		return usual, nil
	}
	n, err := strconv.ParseUint(seconds, 10, 16)
	if err != nil {
		return 0, errors.New("the DSN's answer_timeout must be a number of seconds")
	}
	return time.Duration(n) * time.Second, nil
}

// patientDialer makes connections that are waited for so long and no longer. The kernel
// notices a machine that is gone; that a proxy's server is gone, or a server stands
// still, is noticed by nobody else.
type patientDialer struct {
	*dialer
	patience time.Duration
}

func (d patientDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: c, socket: c, patience: d.patience}
	if into, ok := ctx.Value(wireKey{}).(**wire); ok {
		*into = w
	}
	return w, nil
}

// Gate is asked before a connection is made, and told by giveBack when it is closed: several
// pools may share what a server has. nil lets every connection be made.
type Gate func(ctx context.Context) (giveBack func(), err error)

// through makes a connection when the gate allows it. dial hands the wire on to
// who asks for it in its context.
func (g Gate) through(ctx context.Context, w **wire, dial func(context.Context) error) error {
	ctx = context.WithValue(ctx, wireKey{}, w)
	if g == nil {
		return dial(ctx)
	}
	giveBack, err := g(ctx)
	if err != nil {
		return err
	}
	if err := dial(ctx); err != nil || *w == nil {
		giveBack()
		return err
	}
	(*w).closed = giveBack
	return nil
}

// wireKey is where who connects wants to know the wire.
type wireKey struct{}

type longAnswer struct{}

// WithLongAnswer gives the answer to a statement without arguments, run by ExecContext in
// a pool made by OpenEntered, and the first row of a query there, sixty times the
// patience: an index of many rows, or their sum, takes a server its time.
func WithLongAnswer(ctx context.Context) context.Context {
	return context.WithValue(ctx, longAnswer{}, true)
}

const longer = 60

// wire is a connection on which each read and each write is waited for with patience,
// if it has one.
type wire struct {
	net.Conn
	patience time.Duration
	governed atomic.Pointer[time.Time] // set by somebody else: a driver, while it connects or when a context ends
	long     atomic.Bool               // a long answer is awaited
	closed   func()                    // nil: nobody is told
	socket   net.Conn                  // what Conn goes through

	ahead  *ahead // goes ahead of what is written next, or has; nil: nothing
	unread []byte // of the server's, while its answer to that is awaited
	passed []byte // of those, what is for the driver
}

func (w *wire) Close() error {
	err := w.Conn.Close()
	if w.closed != nil {
		w.closed()
	}
	return err
}

// answerIn is how long a read is waited for.
func (w *wire) answerIn() time.Duration {
	if w.long.Load() {
		return longer * w.patience
	}
	return w.patience
}

// awaitLong lets a statement of this context have a long answer, until ended is called.
func (w *wire) awaitLong(ctx context.Context) (ended func()) {
	if ctx.Value(longAnswer{}) == nil {
		return func() {}
	}
	w.long.Store(true)
	return func() { w.long.Store(false) }
}

func (w *wire) SetDeadline(t time.Time) error {
	if t.IsZero() {
		w.governed.Store(nil)
	} else {
		w.governed.Store(&t)
	}
	return w.Conn.SetDeadline(t)
}

func (w *wire) Read(b []byte) (int, error) {
	for w.awaitsAhead() && len(w.passed) == 0 {
		if err := w.readAhead(); err != nil && len(w.passed) == 0 {
			return 0, err
		}
	}
	if len(w.passed) > 0 {
		n := copy(b, w.passed)
		w.passed = append(w.passed[:0], w.passed[n:]...)
		return n, nil
	}
	return w.readConn(b)
}

func (w *wire) readConn(b []byte) (int, error) {
	if err := w.bound(w.SetReadDeadline, w.answerIn()); err != nil {
		return 0, err
	}
	return w.Conn.Read(b)
}

func (w *wire) Write(b []byte) (int, error) {
	if err := w.bound(w.SetWriteDeadline, w.patience); err != nil {
		return 0, err
	}
	if w.ahead == nil || w.ahead.sent {
		return w.Conn.Write(b)
	}
	all := w.withAhead(b)
	n, err := w.Conn.Write(all)
	return max(0, n-(len(all)-len(b))), err
}

// bound sets a deadline, unless somebody else has set one, or does so meanwhile: a
// cancelled context must not wait for the patience to end.
func (w *wire) bound(set func(time.Time) error, in time.Duration) error {
	if in > 0 && w.governed.Load() == nil {
		if err := set(time.Now().Add(in)); err != nil {
			return err
		}
	}
	if other := w.governed.Load(); other != nil {
		return set(*other)
	}
	return nil
}
