package backends

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"smartseller/platform/database"
)

// Backend is a named place that can hold storefronts. Safe for concurrent use.
type Backend interface {
	Name() string
	Kind() Kind
	// Shared says that places share one database: its schema is upgraded for all of
	// them, no two backends may be the same one, and beside the statements' own conditions
	// something else keeps each application transaction to the rows of its storefront.
	Shared() bool
	// Measured says that what the backend may hold is what its disk has left, which Room
	// always sees; else an operator may say a capacity.
	Measured() bool
	// Create makes what a place needs (schema, and the file or the database and
	// role where each storefront has its own) without a fence: nobody can enter
	// yet. Repeating it for a place that exists is no error.
	Create(ctx context.Context, p Place) error
	// Open returns the store of a place. A place that was never made, or was
	// destroyed, gives ErrNoPlace; opening never creates. Where places share a database,
	// each storefront has one in it, and without a fence it lets nobody enter.
	Open(ctx context.Context, p Place) (Store, error)
	// Destroy drops what Create made for this place alone (file with its -wal
	// and -shm, database and role); a place that shares its database must have
	// been purged before. Repeating it is no error. It proves that nothing is left.
	Destroy(ctx context.Context, p Place) error
	// Ping says whether the backend can be reached with both of its roles.
	Ping(ctx context.Context) error
	// Check inspects configuration and health for doctor and preflight.
	Check(ctx context.Context) []Finding
	// Room says how many bytes are stored and may still be, as far as can be known.
	Room(ctx context.Context) (Room, error)
	// Strain says what the backend suffers now, so that who loads it can let it be.
	Strain(ctx context.Context) (Strain, error)
	// Schema and Upgrade work on the schema that places share; a backend whose
	// places have their own schema takes the place's. Schema changes nothing; its
	// Version is 0 where places share a schema that was not made yet.
	Schema(ctx context.Context, p Place) (database.Schema, error)
	Upgrade(ctx context.Context, p Place) error
	// Connections counts those of the pools that places share.
	Connections() Connections
	// Close closes every pool; stores that are open must be closed before.
	Close() error
}

// Strain is what a server suffers; zero where it suffers nothing, or nobody can tell.
type Strain struct {
	LockWait time.Duration // of the session that has waited longest for a lock
	Behind   int64         // bytes of log that the standby which is furthest behind has not got
}

// Connections are the connections of some pools of a database.
type Connections struct {
	InUse, Idle int
	Most        int // that may be open
}

// CountConnections adds up what pools say of themselves.
func CountConnections(pools ...*sql.DB) (c Connections) {
	for _, p := range pools {
		s := p.Stats()
		c.add(Connections{InUse: s.InUse, Idle: s.Idle, Most: s.MaxOpenConnections})
	}
	return c
}

func (c *Connections) add(o Connections) {
	c.InUse += o.InUse
	c.Idle += o.Idle
	c.Most += o.Most
}

// Finding is one result of a check. An empty Problem means that it is fine.
type Finding struct {
	Check   string `json:"check"`
	Found   string `json:"found,omitempty" doc:"What was seen"`
	Problem string `json:"problem,omitempty"`
	Fix     string `json:"fix,omitempty" doc:"What to do about the problem"`
	Warning bool   `json:"warning,omitempty" doc:"A problem of this check can be lived with: nothing is refused for it"`
}

// Hinders says that the problem must be solved before the backend is used.
func (f Finding) Hinders() bool { return f.Problem != "" && !f.Warning }

// mostSkew is how far two machines' clocks may be apart.
const mostSkew = time.Second

// Skew says how another machine's clock, that was read (in microseconds) between two
// moments of this one's, stands to it.
func Skew(at int64, before, after time.Time) (found, problem, fix string) {
	took := after.Sub(before)
	skew := time.UnixMicro(at).Sub(before.Add(took / 2))
	found = fmt.Sprintf("%s apart", skew.Abs().Round(time.Millisecond))
	if skew.Abs() > mostSkew+took/2 {
		problem = fmt.Sprintf("it is %s away from this machine's", skew.Abs().Round(time.Millisecond))
		fix = "let both machines follow a time server (NTP)"
	}
	return found, problem, fix
}

// Config describes a registered backend.
type Config struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// DSN is the app role's (it may go through a pooler); AdminDSN the owner's,
	// direct. SQLite and dedicated backends: DSN is unused.
	DSN      string `json:"dsn,omitempty"`
	AdminDSN string `json:"admin_dsn,omitempty"`
	// Path is the folder of a backend that is one, absolute.
	Path string `json:"path,omitempty"`
	// Host is the host that this folder lives on.
	Host string `json:"host,omitempty"`
	// Marker is the folder's name for itself, by which an empty mount point is told from it; see [MarkFolder].
	Marker string `json:"marker,omitempty"`
	// Pooled says that the DSN of a shared Postgres goes through a transaction
	// pooler: statements are then not prepared. AdminDSN never does.
	Pooled bool `json:"pooled,omitempty"`
}

// Opener makes a backend from its configuration; each kind has one. It does not
// wait for the database: an unreachable one is met at first use.
type Opener func(cfg Config) (Backend, error)

// Token is a mover's right to act: its move and the fencing number, which grows at
// each takeover and from one move of a storefront to the next. Every change by a mover checks it in its own transaction,
// with the fence row locked; a stale one gets ErrStaleToken.
type Token struct {
	Move string
	Gen  int64
}

// Fence is the row beside the tenant's data.
type Fence struct {
	Epoch   int64
	State   State
	Capture bool
	Move    string // the move this place takes part in, or ""
	Gen     int64  // the greatest fencing number that it has met, also of moves that ended
}

// Transition is one guarded change of a fence. It happens only when the fence
// is in one of From (ErrTransition otherwise; being already in To at Epoch with
// the same Capture is success, so that a retry finishes).
type Transition struct {
	From    []State
	To      State
	Epoch   int64 // 0: unchanged
	Capture bool
	// Exclusive waits for writers in flight to end, at most this long; past it
	// ErrLockBusy and nothing changed. 0 takes no exclusive lock. On SQLite the
	// transition is always exclusive.
	Exclusive time.Duration
	// Release forgets the move, but not its fencing number.
	Release bool
}

// Row is one row of a tenant table: values in the order of Table.Columns (so
// the first is the id), each string, int64, []byte or nil.
type Row []any

// Key is the row's id.
func (r Row) Key() string { return r[0].(string) }

// Size is about what the row takes in memory, bytes.
func (r Row) Size() int {
	n := 16 * len(r)
	for _, v := range r {
		switch v := v.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
	}
	return n
}

// Key names one row of one table.
type Key struct {
	Table string
	ID    string
}

// Entry is one captured key. The same key may be captured many times.
type Entry struct {
	ID string // the entry's own id
	Key
}

// Progress is a copy's checkpoint for one table. It lives at the target, in the
// transaction of the chunk that it describes.
type Progress struct {
	Table   string
	After   string // the cursor that it follows, when it is recorded: see ErrProgress
	Cursor  string // the greatest key copied; "" before the first
	Through string // the greatest key at the barrier; "" for an empty table
	Copied  int64
	Done    bool
}

// Batch is a set of keys and what the source says of them in one snapshot: a
// key without a row does not exist there.
type Batch struct {
	Keys []Key
	Rows map[Key]Row
	// Verify adds the keys to the to-verify set.
	Verify bool
	// Progress, if set, is recorded in the same transaction.
	Progress *Progress
}

// HolderError says that rows of a batch meet unique keys held by rows outside
// it. Nothing was changed. The mover adds the holders to the batch, reads it
// again from one snapshot and tries again.
type HolderError struct{ Holders []Key }

func (e *HolderError) Error() string { return "rows outside the batch hold its unique keys" }

// Holder is a transaction that keeps the exclusive lock from being had, as far as the
// backend can tell. It never holds values or data.
type Holder struct {
	// Session says who it is: its process, what that does, for how long.
	Session string
	// WaitsFor is the session that it waits for itself; "" when for none.
	WaitsFor string
	// Row is the row whose lock it waits for; nil when it is not known or none.
	Row *Key
}

// String says all of it in a line.
func (h Holder) String() string {
	if waits := h.Waits(); waits != "" {
		return h.Session + ", which " + waits
	}
	return h.Session
}

// Waits says what the holder itself waits for; "" when for nothing.
func (h Holder) Waits() string {
	switch {
	case h.Row != nil && h.WaitsFor != "":
		return fmt.Sprintf("waits for row %s of %s, which %s has locked", h.Row.ID, h.Row.Table, h.WaitsFor)
	case h.Row != nil:
		return fmt.Sprintf("waits for row %s of %s", h.Row.ID, h.Row.Table)
	case h.WaitsFor != "":
		return "waits for a lock of " + h.WaitsFor
	}
	return ""
}

// Reader reads rows as the mover: one snapshot, any fence state.
type Reader interface {
	// SomeRows is Rows that ends behind 4 MiB: rest are the keys that it did not come to, in
	// any order. It comes to one at least.
	SomeRows(keys []Key) (rows map[Key]Row, rest []Key, err error)
	// Rows reads the rows of these keys; keys without a row are absent from the answer.
	Rows(keys []Key) (map[Key]Row, error)
	// Scan returns up to limit rows with after < id <= through in key order;
	// through "" means to the end. more says that there may be further rows: the
	// limit was reached, or so many bytes that it must end to bound memory. Whoever
	// reads all rows takes pages (Store.Page).
	Scan(t *Table, after, through string, limit int) (rows []Row, more bool, err error)
	// Orphan is the id of a row of t whose reference leads to no row; "" when all hold.
	Orphan(t *Table, ref Reference) (string, error)
	// Stranger is the id of a row of t that belongs to another storefront, in a place
	// that belongs to this one alone; "" when there is none, and where places are shared.
	Stranger(t *Table) (string, error)
	// LastKey is the greatest id, "" when the table has no row.
	LastKey(t *Table) (string, error)
	// Count counts rows on the server.
	Count(t *Table) (int64, error)
	// Shape is the table as it really is here: its columns in their order, without
	// storefront_id, and the names of the unique keys beside the primary key that hold.
	Shape(t *Table) (columns []Column, uniques []string, err error)
	// Sums is the verifier's second path, computed by the server and not from
	// rows that travel: see SumsOf for what each number is.
	Sums(t *Table) ([]int64, error)
}

// Store is one opened place. The View, Get and Update of a store enter at an epoch
// and are refused (*Refused) unless the fence is active there, with their first statement at the
// latest, or at their end; the Router calls them. All others are the mover's: they enter by no epoch, bind the storefront
// themselves, and what changes anything is guarded by a Token. Safe for
// concurrent use.
type Store interface {
	Place() Place
	View(ctx context.Context, epoch int64, fn func(ctx context.Context, tx Tx) error) error
	Update(ctx context.Context, epoch int64, fn func(ctx context.Context, tx Tx) error) error
	Get(ctx context.Context, epoch int64, dst any, s *Statement, args ...any) error

	// Fence reads the fence; State Absent when there is no row.
	Fence(ctx context.Context) (Fence, error)
	// Found writes the fence of a new storefront: Active at the epoch, no move.
	// It fails with ErrNotEmpty when the place has rows of the storefront, and
	// is no error when the very same fence is there already.
	Found(ctx context.Context, epoch int64) error
	// Install writes the fence of a move's target: Loading, holding the token.
	// ErrNotEmpty as in Found; the same move's own earlier fence is no error
	// when its gen is not newer.
	Install(ctx context.Context, token Token, epoch int64) error
	// Enlist takes a free Active fence for the move with capture on. ErrTransition
	// when another move holds it, or it is not Active; ErrStaleToken when the fence has
	// met a newer gen, though it be free again; no error when repeated.
	Enlist(ctx context.Context, token Token) error
	// Takeover raises the fence's gen to token.Gen; ErrStaleToken when the fence
	// has met a newer one or another move holds it. No fence at all is no error.
	Takeover(ctx context.Context, token Token) error
	// Change makes a transition.
	Change(ctx context.Context, token Token, t Transition) error
	// Barrier waits until every writer that was under way when it began has
	// ended, at most wait; ErrLockBusy past it.
	Barrier(ctx context.Context, token Token, wait time.Duration) error
	// Holders are the transactions that keep the exclusive lock from being had.
	Holders(ctx context.Context) ([]Holder, error)

	// Read runs fn on one read-only snapshot.
	Read(ctx context.Context, fn func(Reader) error) error
	// Page adds up to limit rows with after < id <= through, in key order, to a page,
	// all of one snapshot; through "" means to the end. more says that there may be
	// further rows: the limit was reached, or the page is full.
	Page(ctx context.Context, page *Page, after, through string, limit int) (more bool, err error)
	// BeginLoad readies a Loading place for many rows. One that belongs to the storefront
	// alone gives up the indexes of the tables that move, all but the primary keys: made
	// when the rows are there they cost a fraction. What makes them again is noted in the
	// same transaction. Repeating it is no error.
	BeginLoad(ctx context.Context, token Token) error
	// EndLoad makes a table's indexes again, durably, and lets the engine's planner know
	// its rows. ErrUnique, and nothing made, while rows contradict each other: a change
	// of one of them has not arrived. Until it was called for each table that moves, Change
	// refuses to leave Loading. Repeating it is no error.
	EndLoad(ctx context.Context, token Token, t *Table) error
	// Load writes a chunk of rows that the target does not have and its
	// progress, in one transaction, which outlives the engine's death when EndLoad or
	// an Apply has succeeded after it; ErrUnique (nothing changed) when it has some.
	Load(ctx context.Context, token Token, page *Page, p Progress) error
	// Apply makes the place equal to the batch in one transaction: deletes all
	// keys, inserts the rows. A *HolderError changes nothing.
	Apply(ctx context.Context, token Token, b Batch) error
	// Captured returns up to limit captured entries, of one table or ("") of any,
	// in no promised order.
	Captured(ctx context.Context, table string, limit int) ([]Entry, error)
	// Backlog counts the captured entries.
	Backlog(ctx context.Context) (int64, error)
	// Forget deletes exactly these captured entries.
	Forget(ctx context.Context, token Token, entries []Entry) error
	// ToVerify returns up to limit keys of the to-verify set (their Entry ids
	// are the set's own); Verified deletes exactly these.
	ToVerify(ctx context.Context, limit int) ([]Entry, error)
	Verified(ctx context.Context, token Token, entries []Entry) error
	// Progress reads every table's checkpoint.
	Progress(ctx context.Context) ([]Progress, error)
	// Purge deletes up to limit rows of the storefront, moving tables first, the
	// fence last, and says how many; 0 means that nothing is left. Indexes that
	// BeginLoad gave up are made again. The token must
	// be the fence's, and the fence not Active, Sealed or Closed.
	Purge(ctx context.Context, token Token, limit int) (int64, error)
	// Size estimates the bytes that the storefront takes here.
	Size(ctx context.Context) (int64, error)
	// Inspect looks for damage of what holds the rows, where nobody else does: on SQLite
	// the integrity check. It may take as long as reading the whole place, and writes
	// what is still in SQLite's log where it belongs. ErrDamaged for a damaged place.
	Inspect(ctx context.Context) error
	// Prepare warms the place before a cutover: pools, statements, and on SQLite its log is
	// copied to where it belongs, which is short after Inspect.
	Prepare(ctx context.Context) error
	// Schema says how the place's schema stands to this program's. It changes nothing.
	Schema(ctx context.Context) (database.Schema, error)
	// Connections counts those of the pools that belong to this place alone.
	Connections() Connections
	Close() error
}
