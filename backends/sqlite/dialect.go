package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/platform/database"
)

// dialect serves one open file.
type dialect struct {
	db      *database.SQLite
	file    identity
	catalog *backends.Catalog
	texts   texts
}

var _ sqlstore.Dialect = (*dialect)(nil)

const enterText = `SELECT epoch, state, capture FROM fence WHERE storefront_id = ?1 AND id = 'fence'`

// Enter implements sqlstore.Dialect. BEGIN IMMEDIATE makes a writer the only
// one, so the fence it reads next cannot change under it; a reader's fence is in
// the snapshot of what it reads.
func (d *dialect) Enter(ctx context.Context, e sqlstore.Entry) (*sqlstore.Session, error) {
	pool := d.db.Reader
	if e.Write {
		pool = d.db.Writer
	}
	s, err := d.begin(ctx, pool, e.Timeout-e.Waited, false)
	if err != nil {
		if errors.Is(err, errWaited) {
			return nil, sqlstore.ErrContended.Because(err)
		}
		return nil, err
	}
	if err := d.check(ctx, s, e); err != nil {
		_ = s.Rollback()
		s.Release(err)
		return nil, err
	}
	return s, nil
}

func (d *dialect) check(ctx context.Context, s *sqlstore.Session, e sqlstore.Entry) error {
	fence := backends.Refused{State: backends.Absent}
	var capture bool
	err := s.QueryRowContext(ctx, enterText, string(e.Storefront)).Scan(&fence.Epoch, &fence.State, &capture)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return d.Classify(err)
	}
	open := fence.State == backends.Active || fence.State == backends.Sealed && !e.Write
	if !open || fence.Epoch != e.Epoch {
		return &fence
	}
	s.Capture = func() bool { return capture && e.Write }
	return nil
}

// errWaited says that the file was not had in time. Turns keep this process's transactions
// from waiting for each other here.
var errWaited = errors.New("the file stayed in use for too long")

// begin waits at most wait for a connection and, through it, for the file's
// lock. The wait has a context of its own: the transaction outlives it. A lazy one's
// commit does not wait for the disk.
func (d *dialect) begin(ctx context.Context, pool *sql.DB, wait time.Duration, lazy bool) (*sqlstore.Session, error) {
	if err := d.file.mustBe(d.db.Path); err != nil {
		return nil, err
	}
	started := time.Now()
	if ends, bounded := ctx.Deadline(); bounded { // SQLite waits for the lock whatever becomes of the context
		wait = max(time.Millisecond, min(wait, ends.Sub(started)))
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := pool.Conn(waiting)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("%w: every connection to it is taken", errWaited)
		}
		return nil, classify(err)
	}
	left := max(time.Millisecond, wait-time.Since(started))
	setup := "PRAGMA busy_timeout = " + strconv.FormatInt(left.Milliseconds(), 10)
	if lazy {
		setup += "; PRAGMA synchronous = NORMAL"
	}
	_, err = conn.ExecContext(ctx, setup)
	var tx *sql.Tx
	if err == nil {
		tx, err = conn.BeginTx(ctx, nil)
	}
	if err != nil {
		cause := classify(err)
		giveBack(conn, cause, lazy)
		if busy(err) {
			return nil, fmt.Errorf("%w: its write lock is held by a transaction in %s: %w", errWaited, d.writing(), err)
		}
		return nil, cause
	}
	return &sqlstore.Session{Tx: tx, Release: func(why error) { giveBack(conn, why, lazy) }}, nil
}

// giveBack returns a connection to its pool, unless its file had a fault: one that
// was opened while the file could only be read, say, never writes again.
func giveBack(conn *sql.Conn, why error, lazy bool) {
	bad := errors.Is(why, backends.ErrUnreachable) || errors.Is(why, backends.ErrCommitUnknown)
	if lazy && !bad { // whoever comes next means what it commits to last
		_, err := conn.ExecContext(context.Background(), "PRAGMA synchronous = FULL")
		bad = err != nil
	}
	if bad {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = conn.Close()
}

// Begin implements sqlstore.Dialect. A lock of a process that died is given back
// by the kernel at once.
func (d *dialect) Begin(ctx context.Context, _ backends.StorefrontID, m sqlstore.Mode, wait time.Duration) (*sqlstore.Session, error) {
	pool := d.db.Writer
	if m == sqlstore.Snapshot {
		pool = d.db.Reader
	}
	s, err := d.begin(ctx, pool, wait, m == sqlstore.Fill)
	if errors.Is(err, errWaited) {
		if m == sqlstore.Exclusive {
			return nil, fmt.Errorf("%w: %w", backends.ErrLockBusy, err)
		}
		return nil, sqlstore.ErrContended.Because(err)
	}
	return s, err
}

// EndStalled implements sqlstore.Dialect: a file has no sessions but those of processes,
// and what one of them has locked nobody else can give back.
func (d *dialect) EndStalled(context.Context) (bool, error) { return false, nil }

// Text implements sqlstore.Dialect.
func (d *dialect) Text(portable string) string { return d.texts.of(portable) }

// Statement implements sqlstore.Dialect.
func (d *dialect) Statement(s *backends.Statement) string { return s.SQLite() }

// LockFence implements sqlstore.Dialect: the one writer needs no row lock.
func (d *dialect) LockFence(bool) string { return "" }

// Page implements sqlstore.Dialect.
func (d *dialect) Page(ctx context.Context, page *backends.Page, text string, args []any) (err error) {
	s, err := d.Begin(ctx, "", sqlstore.Snapshot, sqlstore.MoverWait)
	if err != nil {
		return err
	}
	defer func() {
		_ = s.Rollback()
		s.Release(err)
	}()
	// The driver gives each row of a query that can be cancelled a goroutine, which
	// takes longer than the row. A page takes too little time to be cancelled.
	rows, err := s.QueryContext(context.WithoutCancel(ctx), text, args...)
	if err != nil {
		return d.Classify(err)
	}
	defer rows.Close()
	row := make(backends.Row, len(page.Table.Columns))
	into := make([]any, len(row))
	for i := range into {
		into[i] = &row[i]
	}
	for !page.Full() && rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := page.Append(row); err != nil {
			return err
		}
	}
	return d.Classify(rows.Err())
}

// A file that is being filled has more memory, so that a page of an index is not
// written again and again in one transaction, and copies its log into itself seldom.
// How durable a commit is stays as it is.
const (
	fillFrom = 1000 // rows at once
	filling  = "PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 16384"
	serving  = "PRAGMA cache_size = -2000; PRAGMA wal_autocheckpoint = 1000" // SQLite's own
)

// Insert implements sqlstore.Dialect.
func (d *dialect) Insert(ctx context.Context, tx *sql.Tx, storefront backends.StorefrontID, page *backends.Page) error {
	if page.Len() >= fillFrom {
		if _, err := tx.ExecContext(ctx, filling); err != nil {
			return err
		}
	}
	return sqlstore.InsertRows(ctx, tx, d.Text, storefront, page.Table, page.Rows())
}

// Shape implements sqlstore.Dialect.
func (d *dialect) Shape() (columns, uniques string) {
	return `SELECT name, type, "notnull" = 0 FROM pragma_table_info(?1) ORDER BY cid`,
		`SELECT name FROM pragma_index_list(?1) WHERE "unique" = 1 AND origin = 'c'`
}

// Indexes implements sqlstore.Dialect. Those of a table's own definition have no text.
func (d *dialect) Indexes() string {
	return `SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND ?1 <> ''`
}

// MakeIndex implements sqlstore.Dialect.
func (d *dialect) MakeIndex(ctx context.Context, tx *sql.Tx, statement string) error {
	_, err := tx.ExecContext(ctx, filling+"; "+statement)
	return err
}

// Loaded implements sqlstore.Dialect: the planner takes what the schema offers.
func (d *dialect) Loaded(context.Context, *sql.Tx, *backends.Table, int64) error { return nil }

// Classify implements sqlstore.Dialect.
func (d *dialect) Classify(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && (e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey) && !errors.Is(err, backends.ErrUnique) {
		return fmt.Errorf("%w: %w", d.uniqueError(e), err)
	}
	return classify(err)
}

func classify(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) || sqlstore.Retryable(err) || errors.Is(err, backends.ErrUnreachable) || errors.Is(err, sqlstore.ErrContended) {
		return err
	}
	switch e.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return sqlstore.Again(err)
	case sqlite3.ErrFull:
		return fmt.Errorf("%w: %w", backends.ErrFull, err)
	case sqlite3.ErrCantOpen, sqlite3.ErrIoErr, sqlite3.ErrReadonly, sqlite3.ErrNotADB, sqlite3.ErrCorrupt, sqlite3.ErrPerm:
		return unreachable(err)
	}
	return err
}

// ClassifyCommit implements sqlstore.Dialect. Only an I/O error leaves open
// whether the log's last frame reached the disk.
func (d *dialect) ClassifyCommit(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && e.Code != sqlite3.ErrIoErr {
		return d.Classify(err)
	}
	return fmt.Errorf("%w: %w", backends.ErrCommitUnknown, err)
}

func busy(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
}

// uniqueError finds the key by the columns that SQLite names:
// "UNIQUE constraint failed: customers.storefront_id, customers.email_key".
func (d *dialect) uniqueError(e sqlite3.Error) *backends.UniqueError {
	_, list, _ := strings.Cut(e.Error(), "failed: ")
	var table string
	var columns []string
	for _, name := range strings.Split(list, ", ") {
		t, column, _ := strings.Cut(name, ".")
		table = t
		if column != "storefront_id" {
			columns = append(columns, column)
		}
	}
	named := strings.Join(columns, ",")
	out := &backends.UniqueError{Table: table}
	if t := d.catalog.Table(table); t != nil {
		for _, u := range t.Uniques {
			if strings.Join(u.Columns, ",") == named {
				out.Key = u.Name
			}
		}
		if named == "id" {
			out.Key = table + "_key"
		}
	}
	return out
}

// Size implements sqlstore.Dialect: the file and its log.
func (d *dialect) Size(context.Context, backends.StorefrontID, []*backends.Table) (int64, error) {
	file, err := os.Stat(d.db.Path)
	if err != nil {
		return 0, unreachable(err)
	}
	size := file.Size()
	if log, err := os.Stat(d.db.Path + "-wal"); err == nil {
		size += log.Size()
	}
	return size, nil
}

// Schema implements sqlstore.Dialect.
func (d *dialect) Schema(ctx context.Context, through database.Queryer) (database.Schema, error) {
	return schemaOf(ctx, through)
}

// Inspect implements sqlstore.Dialect. It waits for no reader and holds up no writer.
func (d *dialect) Inspect(ctx context.Context) error {
	if err := d.Warm(ctx); err != nil {
		return err
	}
	var verdict string
	if err := d.db.Reader.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return d.Classify(err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: PRAGMA integrity_check finds errors", backends.ErrDamaged)
	}
	return nil
}

// Warm implements sqlstore.Dialect. The log is copied beside writers and readers, through
// a connection that no writer waits for: truncating it would hold the writers of a
// storefront up until its last reader has ended.
func (d *dialect) Warm(ctx context.Context) error {
	if _, err := d.db.Writer.ExecContext(ctx, serving); err != nil {
		return d.Classify(err)
	}
	_, err := d.db.Reader.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	return d.Classify(err)
}
