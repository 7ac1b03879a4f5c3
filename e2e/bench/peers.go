package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"smartseller/platform/pgserver"
)

// peers copy the reference storefront's rows by other means: offline, and verifying
// nothing. They work on a database of these rows alone.
type peers struct {
	w      *world
	tables map[string][]string // columns of each table with rows to copy, storefront_id first
	bin    string              // folder of PostgreSQL's programs
}

const (
	peerDatabase = "peer"
	copyDatabase = "copy"
	inPlace      = "00000000-0000-7000-8000-0000696e706c" // as long as a storefront's
)

func newPeers(ctx context.Context, w *world) (*peers, error) {
	p := &peers{w: w, tables: map[string][]string{}, bin: programs()}
	if err := p.describe(ctx); err != nil {
		return nil, err
	}
	if err := p.makeDatabase(ctx, peerDatabase, "pre-data"); err != nil {
		return nil, err
	}
	for table := range p.tables {
		if err := p.copy(ctx, sharedDatabase, p.choose(table, "'"+w.shop+"'", "WHERE storefront_id = '"+w.shop+"'"), peerDatabase, table); err != nil {
			return nil, err
		}
	}
	if err := p.schema(ctx, peerDatabase, "post-data"); err != nil {
		return nil, err
	}
	return p, w.sql(ctx, p.dsn(peerDatabase), "VACUUM ANALYZE", "CHECKPOINT")
}

func (p *peers) close(ctx context.Context) error {
	return p.w.sql(ctx, p.w.server.AdminDSN(), "DROP DATABASE "+peerDatabase)
}

// programs is where pg_dump and its like are: Debian keeps some out of PATH.
func programs() string {
	if path, err := exec.LookPath("pg_restore"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_restore") // a constant pattern is never wrong
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(slices.Max(found))
}

func (p *peers) dsn(database string) string { return p.w.server.DSN(database, pgserver.Superuser) }

// describe learns the tables and their columns from the shared database.
func (p *peers) describe(ctx context.Context) (err error) {
	db, err := sql.Open("postgres", p.w.sharedOwner)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, `SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind = 'r' AND EXISTS (SELECT FROM pg_attribute s WHERE s.attrelid = c.oid AND s.attname = 'storefront_id') AND c.relname <> 'fence'
		ORDER BY c.relname, a.attnum`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return err
		}
		p.tables[table] = append(p.tables[table], column)
	}
	return rows.Err()
}

// choose is the query of a table's rows, under the storefront that an SQL expression names.
func (p *peers) choose(table, storefront, where string) string {
	return "SELECT " + strings.Join(append([]string{storefront + "::text"}, p.tables[table][1:]...), ", ") + " FROM " + table + " " + where
}

// makeDatabase makes a database anew with one section of the shared one's schema.
func (p *peers) makeDatabase(ctx context.Context, name, section string) error {
	if err := p.w.sql(ctx, p.w.server.AdminDSN(), "DROP DATABASE IF EXISTS "+name, "CREATE DATABASE "+name); err != nil {
		return err
	}
	return p.schema(ctx, name, section)
}

func (p *peers) schema(ctx context.Context, database, section string) error {
	return p.shell(ctx, fmt.Sprintf("pg_dump --section=%s --no-owner --no-privileges '%s' | psql -q -v ON_ERROR_STOP=1 '%s'", section, p.dsn(sharedDatabase), p.dsn(database)))
}

func (p *peers) copy(ctx context.Context, from, query, to, table string) error {
	return p.shell(ctx, fmt.Sprintf(`psql -qc "COPY (%s) TO STDOUT (FORMAT binary)" '%s' | psql -qc "COPY %s FROM STDIN (FORMAT binary)" '%s'`,
		query, p.dsn(from), table, p.dsn(to)))
}

func (p *peers) shell(ctx context.Context, script string) error {
	return command(ctx, []string{"PATH=" + p.bin + ":/usr/bin:/bin"}, "bash", "-o", "pipefail", "-ec", script)
}

// settle has the shared database's server do now what it would do at some time: a vacuum of
// what has left, and a checkpoint.
func (p *peers) settle(ctx context.Context) error {
	return p.w.sql(ctx, p.w.sharedOwner, "VACUUM ANALYZE", "CHECKPOINT")
}

// dumpRestore is what an administrator does who may stop the shop.
func (p *peers) dumpRestore(ctx context.Context) (time.Duration, error) {
	if err := p.w.sql(ctx, p.w.server.AdminDSN(), "DROP DATABASE IF EXISTS "+copyDatabase); err != nil {
		return 0, err
	}
	dump := filepath.Join(p.w.folder, "dump")
	started := time.Now()
	if err := p.w.sql(ctx, p.w.server.AdminDSN(), "CREATE DATABASE "+copyDatabase); err != nil {
		return 0, err
	}
	if err := p.shell(ctx, fmt.Sprintf("pg_dump -Fc -f '%s' '%s'; pg_restore --no-owner --no-privileges -j2 -d '%s' '%s'", dump, p.dsn(peerDatabase), p.dsn(copyDatabase), dump)); err != nil {
		return 0, err
	}
	return time.Since(started), p.drop(ctx)
}

// rawCopy is the ceiling: binary COPY from server to server into bare tables, and
// their keys and indexes afterwards.
func (p *peers) rawCopy(ctx context.Context) (time.Duration, error) {
	if err := p.makeDatabase(ctx, copyDatabase, "pre-data"); err != nil {
		return 0, err
	}
	started := time.Now()
	for table := range p.tables {
		if err := p.copy(ctx, peerDatabase, "SELECT * FROM "+table, copyDatabase, table); err != nil {
			return 0, err
		}
	}
	if err := p.schema(ctx, copyDatabase, "post-data"); err != nil {
		return 0, err
	}
	return time.Since(started), p.drop(ctx)
}

func (p *peers) drop(ctx context.Context) error {
	return p.w.sql(ctx, p.w.server.AdminDSN(), "DROP DATABASE "+copyDatabase)
}

// inPlaceCopy copies into the shared database's tables beside the neighbours, with
// all their indexes, and takes the rows away again.
func (p *peers) inPlaceCopy(ctx context.Context) (time.Duration, error) {
	started := time.Now()
	for table := range p.tables {
		if err := p.copy(ctx, peerDatabase, p.choose(table, "'"+inPlace+"'", ""), sharedDatabase, table); err != nil {
			return 0, err
		}
	}
	took := time.Since(started)
	var clear []string
	for table := range p.tables {
		clear = append(clear, "DELETE FROM "+table+" WHERE storefront_id = '"+inPlace+"'")
	}
	return took, p.w.sql(ctx, p.w.sharedOwner, clear...)
}
