package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"smartseller/backends"
	"smartseller/platform/database"
)

// mover is a transaction that enters by no epoch: it binds the storefront itself.
type mover struct {
	ctx   context.Context
	store *Store
	tx    *sql.Tx
}

// MoverWait bounds the mover's waits for a reader's turn, and for the lock of a file.
const MoverWait = 10 * time.Second

// changeTurn bounds its waits for the one turn to change a file, which the making of a
// large table's index has for as long as that takes.
const changeTurn = time.Hour

func turnFor(verb string, mode Mode, wait time.Duration) ask {
	switch mode {
	case Exclusive:
		return ask{verb: verb, wait: wait, first: true}
	case Snapshot:
		return ask{verb: verb, wait: MoverWait}
	}
	return ask{verb: verb, wait: changeTurn}
}

// lockWait bounds the wait for others' locks; left: of what an exclusive one may wait in all.
func lockWait(mode Mode, left time.Duration) time.Duration {
	if mode == Exclusive {
		return max(time.Millisecond, left)
	}
	return MoverWait
}

// change runs fn in a read-write transaction of the mover and tries again after a
// conflict, and after a commit that had no answer: each of the mover's changes can be
// repeated, and is guarded by its token. A wait above 0 makes it exclusive and bounds the wait for writers.
func (s *Store) change(ctx context.Context, verb string, wait time.Duration, fn func(m *mover) error) error {
	mode := Change
	if wait > 0 {
		mode = Exclusive
	}
	return s.changeIn(ctx, verb, mode, wait, fn)
}

func (s *Store) changeIn(ctx context.Context, verb string, mode Mode, wait time.Duration, fn func(m *mover) error) error {
	return s.retry(ctx, func() (error, bool) {
		err := s.move(ctx, s.lanes.MoverWrite, verb, mode, wait, fn)
		return err, Retryable(err) || errors.Is(err, backends.ErrCommitUnknown)
	})
}

// snapshot runs fn once on one read-only snapshot.
func (s *Store) snapshot(ctx context.Context, verb string, fn func(m *mover) error) error {
	if ctx.Value(insideKey{}) != nil {
		return backends.ErrNested
	}
	return s.move(ctx, s.lanes.MoverRead, verb, Snapshot, MoverWait, fn)
}

func (s *Store) move(ctx context.Context, lane *Turns, verb string, mode Mode, wait time.Duration, fn func(m *mover) error) (err error) {
	began := time.Now()
	giveBack, err := lane.take(ctx, turnFor(verb, mode, wait))
	if err != nil {
		if mode == Exclusive && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", backends.ErrLockBusy, err)
		}
		return s.noTurn(ctx, err)
	}
	defer giveBack()
	session, err := s.dialect.Begin(ctx, s.place.Storefront, mode, lockWait(mode, wait-time.Since(began)))
	if err != nil {
		return s.classify(ctx, err)
	}
	open := true
	defer func() {
		if open {
			rollback(session, err)
		}
	}()
	if err = fn(&mover{ctx: ctx, store: s, tx: session.Tx}); err != nil {
		return s.classify(ctx, err)
	}
	open = false
	return s.commit(ctx, session)
}

// guarded is change for the holder of the token only. The fence row stays
// locked against a takeover until the transaction ends.
func (s *Store) guarded(ctx context.Context, verb string, token backends.Token, wait time.Duration, fn func(m *mover, f backends.Fence) error) error {
	return s.change(ctx, verb, wait, func(m *mover) error { return m.guard(token, fn) })
}

func (m *mover) guard(token backends.Token, fn func(m *mover, f backends.Fence) error) error {
	f, err := m.fence(m.store.dialect.LockFence(false))
	if err != nil {
		return err
	}
	if err := checkToken(f, token); err != nil {
		return err
	}
	return fn(m, f)
}

func checkToken(f backends.Fence, token backends.Token) error {
	if f.State == backends.Absent || f.Move == "" || f.Move != token.Move || f.Gen != token.Gen {
		return fmt.Errorf("%w (fence %s of move %q at %d, token of %q at %d)",
			backends.ErrStaleToken, f.State, f.Move, f.Gen, token.Move, token.Gen)
	}
	return nil
}

// exec runs a portable text; the storefront is bound as $1.
func (m *mover) exec(text string, args ...any) (int64, error) {
	result, err := m.tx.ExecContext(m.ctx, m.store.dialect.Text(text), m.bound(args)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// each runs a portable query, the storefront bound as $1, and calls fn on every row.
func (m *mover) each(text string, args []any, fn func(rows *sql.Rows) error) error {
	return m.eachRow(m.store.dialect.Text(text), m.bound(args), fn)
}

// eachRow does so for an engine's own text.
func (m *mover) eachRow(text string, args []any, fn func(rows *sql.Rows) error) error {
	rows, err := m.tx.QueryContext(m.ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads a query's only row into dst; found is false when there is none.
func (m *mover) one(text string, args []any, dst ...any) (found bool, err error) {
	err = m.tx.QueryRowContext(m.ctx, m.store.dialect.Text(text), m.bound(args)...).Scan(dst...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// whole is one for a query that reads all rows of a table before it answers.
func (m *mover) whole(text string, dst ...any) error {
	patient := &mover{database.WithLongAnswer(m.ctx), m.store, m.tx}
	_, err := patient.one(text, nil, dst...)
	return err
}

func (m *mover) bound(args []any) []any {
	return append([]any{string(m.store.place.Storefront)}, args...)
}

// insert adds rows by the engine's fastest way.
func (m *mover) insert(page *backends.Page) error {
	if page.Len() == 0 {
		return nil
	}
	return m.store.dialect.Insert(m.ctx, m.tx, m.store.place.Storefront, page)
}
