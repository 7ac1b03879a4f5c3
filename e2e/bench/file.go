package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver of the peer
)

// preparedInserts loads the reference storefront's file, table by table, into a
// fresh one of the same schema, by one prepared statement per table in one
// transaction: what anybody would write.
func (w *world) preparedInserts(ctx context.Context) (took time.Duration, err error) {
	found, err := filepath.Glob(filepath.Join(w.folder, "data", "files-1", w.shop, "*.db"))
	if err != nil || len(found) != 1 {
		return 0, errors.Join(err, fmt.Errorf("%d files of the storefront where one was expected", len(found)))
	}
	from, err := sql.Open("sqlite3", "file:"+found[0]+"?mode=ro")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := sql.Open("sqlite3", "file:"+filepath.Join(w.folder, "peer.db")+"?_journal_mode=WAL&_synchronous=NORMAL")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	schema, tables, err := schemaOf(ctx, from)
	if err != nil {
		return 0, err
	}
	for _, text := range schema {
		if _, err := to.ExecContext(ctx, text); err != nil {
			return 0, err
		}
	}
	started := time.Now()
	tx, err := to.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	for _, table := range tables {
		if err := loadTable(ctx, from, tx, table); err != nil {
			return 0, errors.Join(fmt.Errorf("%s: %w", table, err), tx.Rollback())
		}
	}
	err = tx.Commit()
	return time.Since(started), err
}

// schemaOf lists the statements that make a file, and its tables.
func schemaOf(ctx context.Context, db *sql.DB) (texts, tables []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose%' ORDER BY type DESC`)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, nil, err
		}
		texts = append(texts, text)
		if kind == "table" {
			tables = append(tables, name)
		}
	}
	return texts, tables, rows.Err()
}

func loadTable(ctx context.Context, from *sql.DB, to *sql.Tx, table string) (err error) {
	rows, err := from.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	insert, err := to.PrepareContext(ctx, "INSERT INTO "+table+" VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return rows.Err()
}
