package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
)

// Migrate brings a database to the newest version of a set of migrations, each in
// a transaction of its own: what fails or is killed halfway leaves those before it.
// Safe when several processes do it at once: on Postgres a lock that ends with its
// process lets one work and the others wait (the pool must have two connections); on
// SQLite, whose writers exclude each other, the one that lost the race sees the
// winner's version when it looks again. A *MigrationError names what failed.
func Migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, migrations fs.FS) error {
	if dialect == goose.DialectPostgres {
		return locked(ctx, db, lockIdle, lockBeat, func() error { return MigrateAlone(ctx, db, dialect, migrations) })
	}
	const tries = 20
	for try := 1; ; try++ {
		err := MigrateAlone(ctx, db, dialect, migrations)
		if err == nil || try == tries || !lostRace(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// MigrateAlone is Migrate for a caller who keeps all others out: it leaves nothing
// locked when the process is killed.
func MigrateAlone(ctx context.Context, db *sql.DB, dialect goose.Dialect, migrations fs.FS) error {
	// The overlay of one engine has numbers of its own, above those of what all
	// engines share: a later shared migration comes after it.
	provider, err := goose.NewProvider(dialect, db, migrations, goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	_, err = provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil {
		return &MigrationError{Version: partial.Failed.Source.Version, cause: partial.Err}
	}
	if err != nil {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	return nil
}

// MigrationError says which migration failed, and why, in the database's words alone:
// its text never shows the statement.
type MigrationError struct {
	Version int64
	cause   error
}

func (e *MigrationError) Error() string {
	why := "see the server's log"
	var p *pq.Error
	var s sqlite3.Error
	switch {
	case errors.As(e.cause, &p):
		why = p.Message
	case errors.As(e.cause, &s):
		why = s.Error()
	}
	return fmt.Sprintf("migration %d failed and changed nothing: %s", e.Version, why)
}

func (e *MigrationError) Unwrap() error { return e.cause }

// lockIdle is after how long the server ends the lock of a process that stands still, which
// otherwise says every lockBeat that it does not.
const (
	lockIdle = 10 * time.Second
	lockBeat = 2 * time.Second
)

// locked runs fn while no other process migrates the same database. The lock is a
// transaction's: it ends with the process that holds it, however that ends, and soon after
// that stands still.
func locked(ctx context.Context, db *sql.DB, idle, beat time.Duration, fn func() error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL idle_in_transaction_session_timeout = %d`, idle.Milliseconds()))
	if err == nil {
		_, err = tx.ExecContext(ctx, `SET LOCAL lock_timeout = 0`)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('smartseller schema', 0))`)
	}
	if err != nil {
		return fmt.Errorf("lock out others who migrate: %w", err)
	}
	done := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(beat):
				_, _ = tx.ExecContext(ctx, `SELECT 1`) // who has lost the lock meets what the next one did, as an error
			}
		}
	})
	defer beating.Wait()
	defer close(done)
	return fn()
}

// lostRace says that another process made the same change at the same time.
func lostRace(err error) bool {
	for _, sign := range []string{"already exists", "database is locked", "UNIQUE constraint failed: goose_db_version"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}
