package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
	"golang.org/x/sys/unix"
)

// SQLite is one SQLite file with the two handles it needs: SQLite has one
// writer, so the writer is one connection whose transactions begin with BEGIN
// IMMEDIATE; readers never wait for it (WAL). Safe for concurrent use.
type SQLite struct {
	Path   string
	Writer *sql.DB
	Reader *sql.DB
}

// SQLiteOptions say how a file is opened. The zero value opens an existing file.
type SQLiteOptions struct {
	// Create makes the file when it is absent. Otherwise its absence is an error
	// that satisfies errors.Is(err, fs.ErrNotExist).
	Create bool
	// Readers bounds the reading connections; 0: 4. One is kept when idle.
	Readers int
	// BusyTimeout is how long a statement waits for another process's lock
	// before it fails with SQLITE_BUSY; 0: 5 s. Negative: not at all.
	BusyTimeout time.Duration
	// Statements bounds the prepared statements kept per connection; 0: 128.
	Statements int
}

// OpenSQLite opens a file in WAL mode with synchronous=FULL: what was committed
// survives a power cut. Foreign keys are off. It reads once, so a file that
// cannot be opened, or is no database, is an error here and not at first use. One
// that exists is in WAL mode already: its writer connects at the first write.
func OpenSQLite(ctx context.Context, path string, o SQLiteOptions) (*SQLite, error) {
	if !o.Create {
		// mode=rw refuses a missing file as well, but does not say that it is missing.
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("open SQLite file: %w", err)
		}
	}
	writer, err := sql.Open("sqlite3", sqliteDSN(path, o, url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}}))
	if err != nil {
		return nil, fmt.Errorf("open SQLite file: %w", err)
	}
	writer.SetMaxOpenConns(1)
	reader, err := sql.Open("sqlite3", sqliteDSN(path, o, url.Values{"_query_only": {"1"}}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open SQLite file: %w", err), writer.Close())
	}
	reader.SetMaxOpenConns(orDefault(o.Readers, 4))
	reader.SetMaxIdleConns(1)
	db, first := &SQLite{Path: path, Writer: writer, Reader: reader}, reader
	if o.Create {
		first = writer
	}
	var version int64
	if err := first.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version); err != nil {
		return nil, errors.Join(fmt.Errorf("open SQLite file: %w", Explain(path, err)), db.Close())
	}
	return db, nil
}

// Explain is why a file could not be opened: SQLite speaks of a missing file where it
// may not make its log beside the file.
func Explain(path string, err error) error {
	folder := filepath.Dir(path)
	if denied := unix.Access(folder, unix.W_OK); denied != nil && err != nil {
		return fmt.Errorf("the folder %s cannot be written (%w): let this process write there, or mount its disk so that it can be written: %w", folder, denied, err)
	}
	return err
}

// Close closes both handles; the last one to close a file folds its WAL into it.
func (s *SQLite) Close() error { return errors.Join(s.Reader.Close(), s.Writer.Close()) }

func sqliteDSN(path string, o SQLiteOptions, params url.Values) string {
	mode := "rw"
	if o.Create {
		mode = "rwc"
	}
	busy := o.BusyTimeout
	if busy == 0 {
		busy = 5 * time.Second
	}
	params.Set("mode", mode)
	params.Set("_synchronous", "FULL")
	params.Set("_foreign_keys", "0")
	params.Set("_mutex", "no") // database/sql uses a connection from one goroutine at a time
	params.Set("_busy_timeout", strconv.FormatInt(max(0, busy.Milliseconds()), 10))
	params.Set("_stmt_cache_size", strconv.Itoa(orDefault(o.Statements, 128)))
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params.Encode()
}

func orDefault(n, standard int) int {
	if n == 0 {
		return standard
	}
	return n
}
