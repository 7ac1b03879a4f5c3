// Package control opens the control database: placements, backends, moves,
// admins. It is SQLite in the single-binary mode and Postgres when several
// instances run; every statement is one portable text with $N parameters.
package control

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"

	"smartseller/migrations"
	"smartseller/platform/database"
	"smartseller/platform/fault"
)

// ErrUnique says that a unique key is taken.
var ErrUnique = errors.New("control database: unique key taken")

// Tx is a transaction on the control database. Errors of statements are the
// driver's; a unique violation satisfies errors.Is(err, ErrUnique), text that an engine
// could not hold [database.ErrText], and a database that is away [ErrAway].
type Tx interface {
	// Get fills dst with the one row of a query; sql.ErrNoRows when there is none.
	Get(dst any, text string, args ...any) error
	// GetLocked is Get with the rows locked until the transaction ends: FOR
	// UPDATE on Postgres, nothing on SQLite, where Update is the only writer.
	GetLocked(dst any, text string, args ...any) error
	// GetShared is Get with the rows kept as they are until the transaction ends, for
	// any number at a time: FOR SHARE on Postgres, nothing on SQLite.
	GetShared(dst any, text string, args ...any) error
	// Select fills the slice that dst points to.
	Select(dst any, text string, args ...any) error
	// Exec runs a statement and says how many rows it wrote.
	Exec(text string, args ...any) (int64, error)
	// Now is the control database's own clock at the transaction's start, in
	// microseconds since 1970 UTC. Leases are judged by it alone.
	Now() int64
}

// DB is the control database. Safe for concurrent use.
type DB struct {
	write, read *sqlx.DB // the same pool on Postgres
	postgres    bool
	path        string      // of the file; "" on Postgres
	file        fs.FileInfo // what was there when it was opened
	turns       sync.Map    // of Alone: a chan struct{} per name
}

// Open opens the control database and migrates it; several processes may do so at
// once. The DSN is sqlite:PATH or a postgres:// URL with an explicit sslmode.
func Open(ctx context.Context, dsn string) (*DB, error) {
	db, err := open(dsn)
	if err != nil {
		return nil, fmt.Errorf("open the control database: %w", err)
	}
	if err := db.reach(ctx); err != nil {
		away := fault.New(fault.Unavailable, "control_database_away", "The control database cannot be opened (%v): check the setting control, and that it runs.", db.explain(err))
		return nil, errors.Join(away.Because(err), db.Close())
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("control database: %w", err), db.Close())
	}
	if db.path != "" {
		if db.file, err = os.Stat(db.path); err != nil {
			return nil, errors.Join(fmt.Errorf("control database: %w", err), db.Close())
		}
	}
	return db, nil
}

// reach waits for others that open the file at this moment: who makes a log for it waits
// for nobody, and says at once that it is locked.
func (db *DB) reach(ctx context.Context) error {
	const tries, between = 50, 100 * time.Millisecond
	for try := 1; ; try++ {
		err := db.Ping(ctx)
		if err == nil || try == tries || !conflict(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(between):
		}
	}
}

// ErrGone says that the file is not there any more, or another one: what is written
// to the one that is open will not be found again.
var ErrGone = fault.New(fault.Unavailable, "control_database_gone",
	"The control database's file was removed or replaced under the program: stop the program, restore the data folder, and start it again.")

// Present is nil unless the file was taken away. It asks no database.
func (db *DB) Present() error {
	if db.path == "" {
		return nil
	}
	now, err := os.Stat(db.path)
	if err == nil && os.SameFile(db.file, now) {
		return nil
	}
	return ErrGone.Because(err)
}

// CheckDSN says what is wrong with a DSN, without connecting or repeating it.
func CheckDSN(dsn string) error {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok && path != "" {
		return nil
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		_, err := database.PostgresDSN(dsn)
		return err
	}
	return errors.New("must be sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE")
}

func (db *DB) explain(err error) error {
	if db.path == "" {
		return err
	}
	return database.Explain(db.path, err)
}

func open(dsn string) (*DB, error) {
	if err := CheckDSN(dsn); err != nil {
		return nil, err
	}
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return openSQLite(path)
	}
	return openPostgres(dsn)
}

func openSQLite(path string) (*DB, error) {
	// For nobody else to read, nor its log. What hinders, the first statement says. Never one
	// that is there: to close it would give up the locks that SQLite has on it.
	if made, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
		_ = made.Close()
	}
	params := url.Values{"_journal_mode": {"WAL"}, "_synchronous": {"FULL"}, "_busy_timeout": {"5000"}}
	reader, err := sqlx.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+params.Encode())
	if err != nil {
		return nil, err
	}
	params.Set("_txlock", "immediate")
	writer, err := sqlx.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+params.Encode())
	if err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	writer.SetMaxOpenConns(1)
	reader.SetMaxOpenConns(4)
	return &DB{write: writer, read: reader, path: path}, nil
}

// patience bounds the wait for an answer: its statements are short, locks included.
const patience = 15 * time.Second

// maxIdle bounds the connections that wait in the pool.
const maxIdle = 8

func openPostgres(dsn string) (*DB, error) {
	plain, err := database.OpenPostgres(dsn, patience)
	if err != nil {
		return nil, err
	}
	pool := sqlx.NewDb(plain, "postgres")
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(maxIdle)
	pool.SetConnMaxIdleTime(time.Minute)
	return &DB{write: pool, read: pool, postgres: true}, nil
}

func (db *DB) migrate(ctx context.Context) error {
	dialect, files, err := db.migrations()
	if err != nil {
		return err
	}
	return db.Alone(ctx, "migrate", func(ctx context.Context) error {
		return database.MigrateAlone(ctx, db.write.DB, dialect, files)
	})
}

func (db *DB) migrations() (goose.Dialect, fs.FS, error) {
	engine, dialect := migrations.SQLite, goose.DialectSQLite3
	if db.postgres {
		engine, dialect = migrations.Postgres, goose.DialectPostgres
	}
	files, err := migrations.Control(engine)
	return dialect, files, err
}

// Schema says how the schema stands to the migrations of this program.
func (db *DB) Schema(ctx context.Context) (database.Schema, error) {
	dialect, files, err := db.migrations()
	if err != nil {
		return database.Schema{}, err
	}
	return database.ReadSchema(ctx, db.read.DB, dialect, files)
}

// Ping says whether the control database answers.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

// Pools are the numbers of the pools, readers and writer apart where they are.
func (db *DB) Pools() []sql.DBStats {
	if db.postgres {
		return []sql.DBStats{db.write.Stats()}
	}
	return []sql.DBStats{db.read.Stats(), db.write.Stats()}
}

// Folder is where the file lies; "" on Postgres.
func (db *DB) Folder() string {
	if db.path == "" {
		return ""
	}
	return filepath.Dir(db.path)
}

// Postgres says whether several instances can share this control database.
func (db *DB) Postgres() bool { return db.postgres }

// Close closes the pools.
func (db *DB) Close() error {
	if db.postgres {
		return db.write.Close()
	}
	return errors.Join(db.read.Close(), db.write.Close())
}

// View runs fn in a read-only snapshot.
func (db *DB) View(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error {
	return db.run(ctx, db.read, &sql.TxOptions{ReadOnly: db.postgres, Isolation: db.level(sql.LevelRepeatableRead)}, fn)
}

// Update runs fn in a read-write transaction: READ COMMITTED on Postgres, alone
// on SQLite. It runs fn again after a conflict, so fn has no side effects.
func (db *DB) Update(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error {
	const tries = 8
	for try := 1; ; try++ {
		err := db.run(ctx, db.write, &sql.TxOptions{Isolation: db.level(sql.LevelReadCommitted)}, fn)
		if err == nil || try == tries || !conflict(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration(try) * time.Duration(rand.Int64N(int64(10*time.Millisecond)))):
		}
	}
}

// level is the isolation asked of Postgres; SQLite knows only its own.
func (db *DB) level(l sql.IsolationLevel) sql.IsolationLevel {
	if db.postgres {
		return l
	}
	return sql.LevelDefault
}

func (db *DB) run(ctx context.Context, pool *sqlx.DB, options *sql.TxOptions, fn func(context.Context, Tx) error) (err error) {
	inner, err := begin(ctx, pool, options)
	if err != nil {
		return awayIf(err)
	}
	done := false
	defer func() {
		if !done { // an error, or a panic on its way up
			_ = inner.Rollback()
		}
	}()
	t := &tx{ctx: ctx, tx: inner, postgres: db.postgres}
	if err := t.readClock(); err != nil {
		return awayIf(err)
	}
	if err := fn(ctx, t); err != nil {
		return err
	}
	done = true
	return awayIf(inner.Commit())
}

// begin opens a transaction. After a restart of the server each idle connection of the
// pool is found broken in turn, and nothing was done yet that could be done twice.
func begin(ctx context.Context, pool *sqlx.DB, options *sql.TxOptions) (tx *sqlx.Tx, err error) {
	for range maxIdle + 1 {
		if tx, err = pool.BeginTxx(ctx, options); err == nil || !broken(err) {
			break
		}
	}
	return tx, err
}

type tx struct {
	ctx      context.Context
	tx       *sqlx.Tx
	postgres bool
	now      int64
}

func (t *tx) readClock() error {
	text := "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
	if t.postgres {
		// A process that is stopped in a transaction must not hold a move's row for
		// long: others finish what it began.
		text = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM set_config('idle_in_transaction_session_timeout', '500', true)"
	}
	return t.tx.GetContext(t.ctx, &t.now, text)
}

func (t *tx) Now() int64 { return t.now }

func (t *tx) Get(dst any, text string, args ...any) error {
	if err := database.CheckTexts(args); err != nil {
		return err
	}
	return classify(t.tx.GetContext(t.ctx, dst, t.text(text), args...))
}

func (t *tx) GetLocked(dst any, text string, args ...any) error {
	if t.postgres {
		text += " FOR UPDATE"
	}
	return t.Get(dst, text, args...)
}

func (t *tx) GetShared(dst any, text string, args ...any) error {
	if t.postgres {
		text += " FOR SHARE"
	}
	return t.Get(dst, text, args...)
}

func (t *tx) Select(dst any, text string, args ...any) error {
	if err := database.CheckTexts(args); err != nil {
		return err
	}
	return classify(t.tx.SelectContext(t.ctx, dst, t.text(text), args...))
}

func (t *tx) Exec(text string, args ...any) (int64, error) {
	if err := database.CheckTexts(args); err != nil {
		return 0, err
	}
	result, err := t.tx.ExecContext(t.ctx, t.text(text), args...)
	if err != nil {
		return 0, classify(err)
	}
	return result.RowsAffected()
}

var dollar = regexp.MustCompile(`\$([0-9]+)`)

// text is the engine's form. The control database's statements hold no literal
// with a dollar sign.
func (t *tx) text(portable string) string {
	if t.postgres {
		return portable
	}
	return dollar.ReplaceAllString(portable, "?$1")
}

func classify(err error) error {
	if err == nil {
		return nil
	}
	var p *pq.Error
	var s sqlite3.Error
	if errors.As(err, &p) && p.Code == "23505" ||
		errors.As(err, &s) && (s.ExtendedCode == sqlite3.ErrConstraintUnique || s.ExtendedCode == sqlite3.ErrConstraintPrimaryKey) {
		return fmt.Errorf("%w: %w", ErrUnique, err)
	}
	return awayIf(err)
}

func conflict(err error) bool {
	var p *pq.Error
	if errors.As(err, &p) {
		return p.Code == "40001" || p.Code == "40P01"
	}
	var s sqlite3.Error
	return errors.As(err, &s) && (s.Code == sqlite3.ErrBusy || s.Code == sqlite3.ErrLocked)
}
