package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/lib/pq"
)

// Entry begins a transaction: BEGIN and whatever must have happened before the first statement.
// One of Text and Steps is said.
type Entry struct {
	// Text is run by BeginTx, in one round trip. It has no arguments, so values in it must
	// be quoted literals.
	Text string
	// Steps go ahead of the transaction's first statement, or of its COMMIT where it has
	// none, and take no round trip of their own. What refuses the entry is that one's error.
	Steps []Step
	// Answer is the first column of the last row, when there was one: once BeginTx, or the
	// first statement, has returned.
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

type last struct{}

// WithLast lets a statement without rows go ahead of the transaction's COMMIT, with which it
// then fails or not, in its round trip: one of ExecContext whose arguments are strings.
// Its result is not known.
func WithLast(ctx context.Context) context.Context { return context.WithValue(ctx, last{}, true) }

// Errors of entered pools.
var (
	ErrNoEntry            = errors.New("a transaction of this pool begins with an entry, and the context has none")
	ErrOutsideTransaction = errors.New("this pool runs statements inside entered transactions only")
	// ErrBeforeCommit is what Commit's error wraps when a statement before it had failed:
	// nothing was committed.
	ErrBeforeCommit = errors.New("a statement before COMMIT failed")
)

// errFirst says that nothing was sent yet which can have an entry ahead of it: a simple query
// behind a BEGIN that failed would run by itself.
var errFirst = errors.New("a transaction whose entry goes ahead of its first statement begins with one that has arguments")

// entered sends what is the transaction's first, if the entry still waits, behind that.
func (c *conn) entered(send func() error) error {
	entry := c.entry
	if entry == nil {
		return send()
	}
	a, err := c.behind(entry.Steps, false, send)
	switch {
	case a == nil:
	case a.sent:
		c.entry, entry.Answer = nil, a.answer
		if a.failed {
			c.refused = err
		}
	default: // lib/pq may believe that it awaits an answer
		c.unsent = true
	}
	return err
}

// behind sends something behind steps.
func (c *conn) behind(steps []Step, simple bool, send func() error) (*ahead, error) {
	a, err := newAhead(steps, c.named, simple)
	if err != nil {
		clear(c.named)
		return nil, err
	}
	c.wire.ahead = a
	err = send()
	if !a.sent || a.over {
		c.wire.ahead = nil
	}
	if a.failed || !a.over {
		clear(c.named) // some may not have been prepared
	}
	return a, err
}

// asLast is a statement as one that goes ahead of COMMIT, if it can.
func asLast(ctx context.Context, text string, args []driver.NamedValue) (step Step, ok bool) {
	if ctx.Value(last{}) == nil {
		return Step{}, false
	}
	step = Step{Text: text, Args: make([]string, len(args))}
	for i, arg := range args {
		if step.Args[i], ok = arg.Value.(string); !ok {
			return Step{}, false
		}
	}
	return step, true
}

// commitNothing enters, and is done. lib/pq knows of no transaction. Whatever its error is,
// there was nothing to be committed.
func (c *conn) commitNothing() error {
	steps := c.entry.Steps
	c.entry = nil
	a, err := c.behind(steps, true, func() error {
		_, err := c.pqConn.ExecContext(context.Background(), commitText, nil)
		return err
	})
	if err == nil {
		return c.ends(nil)
	}
	if a != nil && a.failed && a.over { // COMMIT was answered as well: nothing is open
		c.open = false
	}
	return fmt.Errorf("%w: %w", ErrBeforeCommit, err)
}

// commitBehind commits behind the last statements. The server heeds its COMMIT only if they
// succeed, so that it cannot answer that it rolled back.
func (c *conn) commitBehind() error {
	steps := c.last
	c.last = nil
	commit, err := c.prepared.get(context.Background(), c, commitText)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBeforeCommit, err)
	}
	a, err := c.behind(steps, false, func() error {
		_, err := commit.Stmt.(driver.StmtExecContext).ExecContext(context.Background(), nil)
		return err
	})
	if err == nil {
		return c.ends(nil)
	}
	if a == nil || !a.sent || Stale(err) || a.failed && said(err) {
		err = fmt.Errorf("%w: %w", ErrBeforeCommit, c.unlessStale(commit, err))
		_ = c.Rollback() // one that fails leaves the connection open, which closes it
	}
	return err
}

// said says whether an error is the server's about a statement: a connection's end may be told
// of by who stands in between, when COMMIT has been heeded already.
func said(err error) bool {
	var e *pq.Error
	if !errors.As(err, &e) {
		return false
	}
	const cancelled = "57014"
	return e.Code == cancelled || e.Code.Class() != "08" && e.Code.Class() != "57"
}

const commitText = "COMMIT"
