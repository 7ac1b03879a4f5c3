package control

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sys/unix"
)

// Alone runs fn while no other process that shares this control database runs one
// of the same name; it waits for its turn, at most until ctx ends. The lock ends
// with the process that holds it, however that ends: on Postgres it is an advisory
// lock of a transaction (it works through a transaction pooler), on SQLite a lock on
// a file beside the database. fn may use the database; what it writes is its
// own transactions', not undone when it fails. Names are few, and constants.
func (db *DB) Alone(ctx context.Context, name string, fn func(context.Context) error) (err error) {
	// One of this process at a time: those that wait hold a connection each, and must
	// leave some to the one that works.
	made, _ := db.turns.LoadOrStore(name, make(chan struct{}, 1))
	turn := made.(chan struct{})
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	lock := db.lockFile
	if db.postgres {
		lock = db.lockAdvisory
	}
	release, err := lock(ctx, name)
	if err != nil {
		return fmt.Errorf("lock out other processes (%s): %w", name, err)
	}
	defer func() { err = errors.Join(err, release()) }()
	return fn(ctx)
}

// Once runs fn alone, unless it was done before: in the life of a control database it
// succeeds once. Killed or failed halfway, fn runs again from its beginning, so it must
// be able to. did says that this call was the one.
func (db *DB) Once(ctx context.Context, name string, fn func(context.Context) error) (did bool, err error) {
	err = db.Alone(ctx, name, func(ctx context.Context) error {
		done, err := db.done(ctx, name)
		if err != nil || done {
			return err
		}
		if err := fn(ctx); err != nil {
			return err
		}
		did = true
		return db.Update(ctx, func(_ context.Context, tx Tx) error {
			_, err := tx.Exec(`INSERT INTO done_once (name, at) VALUES ($1, $2)`, name, tx.Now())
			return err
		})
	})
	return did && err == nil, err
}

func (db *DB) done(ctx context.Context, name string) (done bool, err error) {
	err = db.View(ctx, func(_ context.Context, tx Tx) error {
		var at int64
		err := tx.Get(&at, `SELECT at FROM done_once WHERE name = $1`, name)
		done = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return done, err
}

func (db *DB) lockAdvisory(ctx context.Context, name string) (release func() error, err error) {
	tx, err := begin(ctx, db.write, nil)
	if err != nil {
		return nil, awayIf(err)
	}
	// A server may be set to end transactions that idle: this one must.
	_, err = tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`)
	if err == nil {
		err = awaitAdvisory(ctx, tx, "smartseller/"+name)
	}
	if err != nil {
		return nil, errors.Join(awayIf(err), tx.Rollback())
	}
	return func() error {
		if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) { // which ctx has done, with the lock
			return err
		}
		return nil
	}, nil
}

// look is how often a lock is asked for.
const look = 20 * time.Millisecond

// awaitAdvisory asks again and again, since a server's answer is not waited for as long as
// another process may hold the lock.
func awaitAdvisory(ctx context.Context, tx *sqlx.Tx, name string) error {
	for {
		var got bool
		if err := tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))`, name).Scan(&got); err != nil || got {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(look):
		}
	}
}

// lockFile locks one byte per name, whether or not the file is that long. It asks again
// and again, since waiting in the kernel knows no deadline.
func (db *DB) lockFile(ctx context.Context, name string) (release func() error, err error) {
	file, err := os.OpenFile(db.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: int64(h.Sum32()), Len: 1}
	for {
		// The open file's lock, unlike the process's, does not end with another descriptor.
		err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock)
		if err == nil {
			return file.Close, nil // which gives the lock up
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		case <-time.After(look):
		}
	}
}
