package database

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migrate brings a database to the newest version of a set of migrations. Safe
// when several processes start at once: on Postgres a lock table lets one work
// and the others wait; on SQLite, whose writers exclude each other, the one that
// lost the race sees the winner's version when it looks again.
func Migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, migrations fs.FS) error {
	provider, err := newProvider(db, dialect, migrations, dialect == goose.DialectPostgres)
	if err != nil {
		return err
	}
	const tries = 20
	for try := 1; ; try++ {
		_, err = provider.Up(ctx)
		if err == nil {
			return nil
		}
		if dialect != goose.DialectSQLite3 || try == tries || !lostRace(err) {
			return fmt.Errorf("migrate the schema: %w", err)
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
	provider, err := newProvider(db, dialect, migrations, false)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	return nil
}

func newProvider(db *sql.DB, dialect goose.Dialect, migrations fs.FS, locking bool) (*goose.Provider, error) {
	// The overlay of one engine has numbers of its own, above those of what all
	// engines share: a later shared migration comes after it.
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true)}
	if locking {
		locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(100*time.Millisecond, 600))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, db, migrations, options...)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, nil
}

// lostRace says that another process made the same change at the same time.
func lostRace(err error) bool {
	text := err.Error()
	for _, sign := range []string{"already exists", "database is locked", "UNIQUE constraint failed: goose_db_version"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}
