package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"smartseller/backends"
)

// maxTries bounds how often one transaction is run: with the pauses between
// them it gives up after about a third of a second of conflicts. A conflict that
// is waited for long, such as a locked file, has fewer tries.
const maxTries = 10

// insideKey marks the context of a transaction's function.
type insideKey struct{}

// View implements backends.Store.
func (s *Store) View(ctx context.Context, epoch int64, fn func(context.Context, backends.Tx) error) error {
	return s.enter(ctx, Entry{Storefront: s.place.Storefront, Epoch: epoch, Timeout: s.timeout}, fn)
}

// Update implements backends.Store.
func (s *Store) Update(ctx context.Context, epoch int64, fn func(context.Context, backends.Tx) error) error {
	return s.enter(ctx, Entry{Storefront: s.place.Storefront, Epoch: epoch, Write: true, Timeout: s.timeout}, fn)
}

func (s *Store) enter(ctx context.Context, e Entry, fn func(context.Context, backends.Tx) error) error {
	return s.retry(ctx, func() (error, bool) { return s.attempt(ctx, e, fn) })
}

// retry runs once until it succeeds, fails for good or has had its tries or its
// time. Whether a failure deserves another try is not read from err alone: a
// function may return its own error for a statement that met a conflict.
func (s *Store) retry(ctx context.Context, once func() (err error, again bool)) error {
	if ctx.Value(insideKey{}) != nil {
		return backends.ErrNested
	}
	began := time.Now()
	for try := 1; ; try++ {
		err, again := once()
		if err == nil || !again {
			return err
		}
		if try == maxTries || time.Since(began) > s.timeout {
			if errors.Is(err, backends.ErrUnreachable) || errors.Is(err, backends.ErrCommitUnknown) {
				return err
			}
			return ErrContended.Because(err)
		}
		timer := time.NewTimer(rand.N(min(time.Millisecond<<try, 64*time.Millisecond)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return s.classify(ctx, err)
		case <-timer.C:
		}
	}
}

// attempt runs one application transaction; again says that it rolled back for a
// reason that another try may not meet.
func (s *Store) attempt(ctx context.Context, e Entry, fn func(context.Context, backends.Tx) error) (err error, again bool) {
	lane, verb := s.lanes.Read, "View"
	if e.Write {
		lane, verb = s.lanes.Write, "Update"
	}
	began := time.Now()
	giveBack, err := lane.take(ctx, ask{verb: verb, wait: e.Timeout})
	if err != nil {
		return s.noTurn(ctx, err), false
	}
	defer giveBack()
	e.Waited = time.Since(began)
	session, err := s.dialect.Enter(ctx, e)
	if err != nil {
		err = s.classify(ctx, err)
		return err, Retryable(err)
	}
	t := &tx{store: s, session: session, write: e.Write, now: s.clock()}
	t.ctx = context.WithValue(ctx, insideKey{}, true)
	open := true
	defer func() {
		t.ended = true
		if open { // an error, or a panic on its way up
			rollback(session, t.failed)
		}
	}()
	err = fn(t.ctx, t)
	var refused *backends.Refused
	if errors.As(t.failed, &refused) { // whatever the function made of it: it was never inside
		err = t.failed
	}
	if err == nil && t.failed != nil {
		err = fmt.Errorf("a statement of the transaction had failed: %w", t.failed)
	}
	if err == nil {
		err = t.recordKeys()
	}
	if err != nil {
		return err, Retryable(t.failed)
	}
	open = false
	err = s.commit(ctx, session)
	return err, Retryable(err)
}

func rollback(session *Session, why error) {
	// The cause is already on its way to the caller. A connection that cannot
	// roll back is closed by database/sql or by the dialect.
	_ = session.Rollback()
	if session.Release != nil {
		session.Release(why)
	}
}

// commit ends a session. nil means that it is certain to have committed.
func (s *Store) commit(ctx context.Context, session *Session) error {
	err := session.Commit()
	switch {
	case err == nil:
	case errors.Is(err, sql.ErrTxDone), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// database/sql says these before it sends COMMIT: it was rolled back, or will be here.
		_ = session.Rollback()
		err = s.classify(ctx, err)
	default:
		_ = session.Rollback()
		err = s.dialect.ClassifyCommit(err)
	}
	if session.Release != nil {
		session.Release(err)
	}
	return err
}

// noTurn is the contract's error for a turn that was not had. It is not tried again: that
// would be a wait behind everybody who came meanwhile.
func (s *Store) noTurn(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return s.classify(ctx, err)
	}
	return ErrContended.Because(err)
}

// classify makes the contract's error of a driver's. Whatever a driver says
// about a statement whose context has ended, the context is the reason.
func (s *Store) classify(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("the transaction was abandoned: %w", errors.Join(ctx.Err(), context.Cause(ctx)))
	}
	if err != nil && (errors.Is(err, errPoolClosed) || errors.Is(err, sql.ErrConnDone)) {
		return fmt.Errorf("%w: %w", backends.ErrStaleHandle, err)
	}
	return s.dialect.Classify(err)
}

// errPoolClosed is what database/sql says of a pool that is closed; it gives it no name.
var errPoolClosed = func() error {
	pool := sql.OpenDB(nobody{})
	_ = pool.Close()
	return pool.Ping()
}()

// nobody connects.
type nobody struct{ driver.Connector }
