// Package backends is the contract between the modules, which speak SQL through
// a handle that already knows the tenant, and the places that hold a
// storefront's data: a shared Postgres, a dedicated Postgres, a SQLite file.
//
// Modules use [TenantStore] with [Statement] values; the mover uses [Store].
// One implementation, package sqlstore, serves all kinds; what really differs
// between them stands in sharedpostgres, dedicatedpostgres and sqlite.
// Package storetest is the suite that every backend passes.
package backends

import (
	"context"
	"time"
)

// StorefrontID names a tenant: a UUIDv7 in lower-case text.
type StorefrontID string

// Kind is a kind of backend.
type Kind string

// The kinds of backends.
const (
	SharedPostgres    Kind = "shared-postgres"
	DedicatedPostgres Kind = "dedicated-postgres"
	SQLite            Kind = "sqlite"
)

// Kinds lists every kind.
func Kinds() []Kind { return []Kind{SharedPostgres, DedicatedPostgres, SQLite} }

// Folder says that a backend of this kind is a folder, which belongs to the host that
// registers it.
func (k Kind) Folder() bool { return k == SQLite }

// Place names one home of one storefront on one backend. Epoch tells the places of
// a storefront apart: each that is made gets a greater one than all before it, also than
// those of moves that came to nothing. It is part of the place's address where the backend
// gives each storefront a file or a database of its own, never changes, and is not the
// fence's epoch, which follows the placement's.
type Place struct {
	Backend    string       `json:"backend"`
	Storefront StorefrontID `json:"storefront"`
	Epoch      int64        `json:"epoch"`
}

// Placement says which place holds a storefront now, and at which epoch. Epoch
// grows by one at every change of placement and never shrinks.
type Placement struct {
	Place Place
	Epoch int64
}

// Tx is all that a module sees of a transaction. The storefront's id is always
// bound as $1, so args start at $2. Argument and result types are string,
// int64 (also int, bool as 0/1), []byte and pointers to them for NULL, and [List];
// structs are filled by `db` tags, columns must be named in the statement. A Tx is
// used by one goroutine and is dead when the function that got it has returned.
type Tx interface {
	// Get fills dst with the one row of a Read, a Lock or a Write with
	// RETURNING. No row: sql.ErrNoRows. More than one row is an error.
	Get(dst any, s *Statement, args ...any) error
	// Select fills the slice that dst points to with all rows, in their order.
	Select(dst any, s *Statement, args ...any) error
	// Exec runs a Write and says how many rows it wrote. A Read or Lock is an error.
	Exec(s *Statement, args ...any) (rows int64, err error)
	// ExecMany runs an INSERT of one row for many, in few round trips; each of
	// rows holds the arguments of one. It says how many rows it wrote.
	ExecMany(s *Statement, rows [][]any) (written int64, err error)
	// Now is the transaction's one timestamp, of when its function was called, which may be
	// before a wait for a move's seal: UTC, cut to microseconds.
	Now() time.Time
	// Storefront is the tenant this transaction entered.
	Storefront() StorefrontID
}

// List is an argument that stands for several values: `column IN ($2)` finds the
// rows of any of them. It holds at most MaxList; an empty one finds nothing.
type List []string

// MaxList is how many values a List may hold.
const MaxList = 512

// TenantStore runs transactions on a storefront's data wherever it is, also
// while it moves. Safe for concurrent use.
//
// The function may run more than once (conflict, lost connection before commit,
// cutover), so it has no side effects of its own and resets what it fills. The
// context it gets belongs to the transaction: a View or Update called with it
// is refused with ErrNested, because it would deadlock with a waiting seal.
//
// Errors that the function returns come back unchanged and roll back; a panic
// rolls back and goes on. Unique violations satisfy errors.Is(err, ErrUnique)
// (see [UniqueError]); after any failed statement the transaction can only end.
type TenantStore interface {
	// View runs fn read-only in one snapshot. It sees every write that was
	// acknowledged before it began.
	View(ctx context.Context, storefront StorefrontID, fn func(ctx context.Context, tx Tx) error) error
	// Get fills dst with the one row of a Read, as a View whose only statement it is
	// does with Tx.Get, but in one round trip where the engine has any to save.
	Get(ctx context.Context, storefront StorefrontID, dst any, s *Statement, args ...any) error
	// Update runs fn in a read-write transaction at READ COMMITTED or stricter:
	// read-modify-write needs a Lock statement or a version predicate. It
	// returns nil only when the commit is known to have happened.
	Update(ctx context.Context, storefront StorefrontID, fn func(ctx context.Context, tx Tx) error) error
}
