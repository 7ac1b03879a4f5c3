package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/platform/database"
)

// ErrContended is what dialects say where a wait was too long.
var ErrContended = backends.ErrContended

// Entry is what an application transaction asks of the place it enters.
type Entry struct {
	Storefront backends.StorefrontID
	Epoch      int64
	Write      bool
	// Timeout bounds each wait for a lock and, where the engine can, each
	// statement; never 0. A wait that it ends gives ErrContended.
	Timeout time.Duration
	// Waited is how long the transaction has waited for its turn already.
	Waited time.Duration
}

// Mode is what a transaction of the mover does.
type Mode uint8

// The modes of the mover's transactions.
const (
	// Snapshot reads: every statement sees the same state of the data.
	Snapshot Mode = iota + 1
	// Change writes. It excludes neither the application's writers nor readers
	// (where the engine lets several write).
	Change
	// Fill is Change whose commit need not wait for the disk. When the engine or its
	// machine dies it may be lost, and then all commits behind it are; once a later Change
	// has committed it is as durable as that one.
	Fill
	// Exclusive writes alone: when Begin returns, every application writer that
	// was under way has ended, and none begins before the transaction has ended. Its
	// commit need not wait for the disk either: whoever seals a place closes it later.
	Exclusive
)

// Session is one open transaction.
type Session struct {
	*sql.Tx
	// Capture says whether keys of written rows must be recorded, once a statement has
	// been run; it is asked of a session of Enter alone, and only one with Entry.Write says so.
	Capture func() bool
	// Release, if set, is called once, after Commit or Rollback has returned, with
	// the classified error that ended the transaction.
	Release func(why error)
}

// Dialect is what differs between engines. One value serves one opened place, or
// every place of a shared database: it never assumes which storefront is next.
// Safe for concurrent use. All errors that leave it are as Classify makes them,
// except those of Session.Tx's own methods, which the store classifies.
//
// Prepared statements are the driver's business: the store runs every statement
// as Session.QueryContext or ExecContext with its text. A connection keeps
// prepared statements by text, bounded, where that is safe (go-sqlite3's
// _stmt_cache_size; on Postgres the connection that wraps lib/pq's, unless the
// backend is pooled). The store's texts are few: one per declared statement, and
// for the mover a handful per table (lists of keys come in four fixed sizes).
type Dialect interface {
	// Enter begins an application transaction and checks the fence in it, before
	// anything else is read: at once, or with its first statement, or with the commit of
	// one that has none, which then fail. Write: the fence must be Active at exactly the
	// epoch, the transaction is READ COMMITTED or stricter, ends before an
	// Exclusive one begins, and is told whether to capture. Read: Active or
	// Sealed at exactly the epoch, one read-only snapshot which includes the
	// fence. Otherwise *backends.Refused, and no transaction is left open.
	Enter(ctx context.Context, e Entry) (*Session, error)

	// Begin begins a transaction of the mover, which enters by no epoch and is
	// never captured. It does not check the fence: the store then reads the fence
	// row with LockFence, as the transaction's first statement. wait bounds the wait
	// for writers, of an Exclusive one (ErrLockBusy past it, with nothing left open) and
	// where an engine has one writer. While an Exclusive one is open its process may die: the
	// engine must give the lock back within half a second of idleness.
	Begin(ctx context.Context, storefront backends.StorefrontID, m Mode, wait time.Duration) (*Session, error)

	// EndStalled ends sessions of movers that stand still in the midst of a statement, which
	// the engine does not do by itself: their process was stopped, and they keep what they
	// had locked. ended: there were any.
	EndStalled(ctx context.Context) (ended bool, err error)

	// Text turns a portable text with $N into the engine's.
	Text(portable string) string
	// Statement is a module's statement in the engine's text: s.Postgres() or s.SQLite().
	Statement(s *backends.Statement) string
	// LockFence is what the mover's guard puts behind its SELECT of the fence row:
	// " FOR UPDATE" when it will change the row, " FOR SHARE" when it relies on
	// it; "" where there is only one writer.
	LockFence(change bool) string

	// Page runs a query of all of a table's columns, the storefront bound as $1, on one
	// read-only snapshot, and adds its rows to the page until it is full.
	Page(ctx context.Context, page *backends.Page, text string, args []any) error
	// Insert adds rows the fastest way for their number (COPY, multi-row INSERT;
	// InsertRows serves where nothing is faster). All or an error; the transaction can
	// then only end. Rows are checked against the table's columns before.
	Insert(ctx context.Context, tx *sql.Tx, storefront backends.StorefrontID, page *backends.Page) error

	// Shape are two queries about the table whose name is $1: the columns with their types
	// and whether they may be NULL; the names of the unique indexes that hold.
	Shape() (columns, uniques string)

	// Indexes is a query of all indexes of a place but those of keys that belong to a
	// table's own definition: name, table, and the statement that makes it.
	Indexes() string
	// MakeIndex runs such a statement. It may take minutes, and ends with its process.
	MakeIndex(ctx context.Context, tx *sql.Tx, statement string) error
	// Loaded lets the planner know a table that a storefront has just got so many rows of,
	// where its guesses would be far off.
	Loaded(ctx context.Context, tx *sql.Tx, t *backends.Table, rows int64) error

	// Classify turns an error of the driver into the contract's, keeping the
	// cause in the chain: *backends.UniqueError (Table and Key as in the schema,
	// where the engine names them), *backends.Refused (with State and Epoch),
	// ErrUnreachable, ErrNoPlace. What deserves another try of the whole
	// transaction (serialization failure, deadlock, busy, a connection lost
	// before commit) is marked with Again. Errors it does not know, also those
	// that are classified already and nil, come back unchanged.
	Classify(err error) error
	// ClassifyCommit does so for an error of COMMIT: one that leaves the outcome
	// open wraps ErrCommitUnknown and is not marked with Again; one that says for
	// certain that nothing was committed is as by Classify.
	ClassifyCommit(err error) error

	// Holders are the transactions that keep an Exclusive one from beginning.
	Holders(ctx context.Context, storefront backends.StorefrontID) ([]backends.Holder, error)
	// Size estimates the bytes of a storefront's rows in these tables, or of the
	// whole place where it belongs to the storefront alone.
	Size(ctx context.Context, storefront backends.StorefrontID, tables []*backends.Table) (int64, error)
	// Schema says how the tenant schema, read through one of the mover's transactions,
	// stands to this program's migrations.
	Schema(ctx context.Context, through database.Queryer) (database.Schema, error)
	// Inspect is Store.Inspect.
	Inspect(ctx context.Context) error
	// Warm opens connections and does what makes the first transactions fast;
	// on SQLite a checkpoint of its log too.
	Warm(ctx context.Context) error
}

// ErrEnterFirst says that a OneTrip cannot read this statement.
var ErrEnterFirst = errors.New("this statement can only be run where the storefront was entered before")

// OneTrip is a dialect that can enter, read and leave in one round trip.
type OneTrip interface {
	// Capable says whether this place's connections allow it at all.
	Capable() bool
	// Read runs one Read as Enter for reading would let it run, in one snapshot
	// with the fence, and nothing is left open behind its rows. Behind the
	// statement's own columns each row has three: TRUE, or NULL when the statement has
	// no row and its columns are NULL; the fence's epoch; its state. No row at all:
	// there is no fence. The caller compares the epoch. args begin with the storefront.
	// The engine itself bounds the statement. ErrEnterFirst: only Enter can; nothing
	// was read.
	Read(ctx context.Context, s *backends.Statement, args []any) (*sql.Rows, error)
}

// Again marks an error that deserves another try of the whole transaction. The
// transaction it came from must be certain not to have committed. nil stays nil.
func Again(err error) error {
	if err == nil {
		return nil
	}
	return &again{err}
}

type again struct{ error }

func (e *again) Unwrap() error { return e.error }

// Retryable says whether Again marked the error, or one that it wraps.
func Retryable(err error) bool {
	var a *again
	return errors.As(err, &a)
}
