package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// Schema says how a database's schema stands to the migrations that a program has.
type Schema struct {
	// Version is the newest migration up to which none is missing; 0: there is no
	// schema yet.
	Version int64
	Newest  int64 // of the program's migrations
	Pending int   // migrations that are missing
	Unknown int   // migrations that this program does not have: a newer one made them
}

// Queryer is what a schema is read through: a pool or a transaction.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// ReadSchema looks and changes nothing.
func ReadSchema(ctx context.Context, db Queryer, dialect goose.Dialect, migrations fs.FS) (Schema, error) {
	files, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return Schema{}, err
	}
	applied, err := appliedMigrations(ctx, db, dialect)
	if err != nil {
		return Schema{}, fmt.Errorf("read the schema version: %w", err)
	}
	var s Schema
	for _, file := range files { // in the order of their names, which begin with their numbers
		version, err := goose.NumericComponent(file)
		if err != nil {
			return Schema{}, err
		}
		s.Newest = version
		if !applied[version] {
			s.Pending++
		} else if s.Pending == 0 {
			s.Version = version
		}
		delete(applied, version)
	}
	s.Unknown = len(applied)
	return s, nil
}

// appliedMigrations reads goose's table, which goose itself would make if it is absent.
func appliedMigrations(ctx context.Context, db Queryer, dialect goose.Dialect) (applied map[int64]bool, err error) {
	exists := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'goose_db_version'`
	if dialect == goose.DialectPostgres {
		exists = `SELECT count(*) FROM pg_class WHERE oid = to_regclass('goose_db_version')`
	}
	var there int
	if err := db.QueryRowContext(ctx, exists).Scan(&there); err != nil || there == 0 {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT version_id FROM goose_db_version WHERE version_id > 0`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	applied = map[int64]bool{}
	for rows.Next() {
		var version int64
		if err := rows.Scan(&version); err != nil {
			return nil, err
		}
		applied[version] = true
	}
	return applied, rows.Err()
}
