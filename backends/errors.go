package backends

import (
	"errors"
	"fmt"

	"smartseller/platform/database"
	"smartseller/platform/fault"
)

// State is the state of a fence.
type State string

// The states of a fence. No row at all is also an answer: Absent.
const (
	Absent  State = "absent"
	Loading State = "loading" // being filled by a move: nobody but the mover
	Active  State = "active"  // open at exactly the fence's epoch
	Sealed  State = "sealed"  // reads yes, writes no: the cutover drains
	Closed  State = "closed"  // nobody: the commit point is near
	Moved   State = "moved"   // the data lives elsewhere
	Standby State = "standby" // moved, and kept in step for a rollback
)

// Refused says that a fence did not let a transaction in. Nothing was read or
// written. The Router answers it by waiting (Sealed, Closed) or by following
// the storefront to its new place.
type Refused struct {
	State State
	Epoch int64 // the fence's epoch; 0 when Absent
}

func (e *Refused) Error() string {
	return fmt.Sprintf("the place refuses the transaction: fence %s at epoch %d", e.State, e.Epoch)
}

// Sentinels of the contract, matched with errors.Is.
var (
	// ErrNested: a transaction was begun inside another one.
	ErrNested = errors.New("a tenant transaction inside a tenant transaction is refused: pass the Tx to a helper instead")
	// ErrUnique: a unique key is taken. errors.As(*UniqueError) names it.
	ErrUnique = errors.New("unique key taken")
	// ErrReadOnly: a Write or Lock statement inside View.
	ErrReadOnly = errors.New("a write statement inside View")
	// ErrStaleToken: the mover's token is not the fence's any more (taken over,
	// or another move). Nothing was changed.
	ErrStaleToken = errors.New("the move was taken over: this token is stale")
	// ErrLockBusy: an exclusive lock was not had in the time given. Nothing was changed.
	ErrLockBusy = errors.New("writers did not end in time")
	// ErrNoPlace: the file or database of a place does not exist.
	ErrNoPlace = errors.New("the place does not exist")
	// ErrCommitUnknown: the connection broke while committing; the transaction
	// may or may not have happened. The store retries the mover's changes alone.
	ErrCommitUnknown = errors.New("the connection broke during commit: the outcome is unknown")
	// ErrProgress: the copy's progress at the place is not the one that a chunk follows.
	// The place has forgotten chunks, or remembers one whose answer was lost. Nothing was changed.
	ErrProgress = errors.New("the place has another progress of the copy")
	// ErrUnreachable: the backend's database cannot be reached or is going away.
	ErrUnreachable = errors.New("the database cannot be reached")
	// ErrStaleHandle: so is one through this store. Opened anew, the place may answer: its
	// file was replaced, or its pool closed by who registered the backend anew.
	ErrStaleHandle = fmt.Errorf("%w: what was opened is not the place any more", ErrUnreachable)
	// ErrDamaged: so is one whose content cannot be read any more. Waiting does not help.
	ErrDamaged = fmt.Errorf("%w: it is damaged", ErrUnreachable)
	// ErrFull: so is one that has no room for what is to be written.
	ErrFull = fmt.Errorf("%w: its disk is full", ErrUnreachable)
	// ErrNotEmpty: the place already has rows of this storefront.
	ErrNotEmpty = errors.New("the place already holds rows of this storefront")
	// ErrTransition: the fence is not in a state that allows the transition.
	ErrTransition = errors.New("the fence is in another state")
)

// Elsewhere says why a place is [ErrUnreachable]: its files are on another host, where an
// instance can use them.
type Elsewhere struct{ Backend, Host, Here string }

func (e *Elsewhere) Error() string {
	return fmt.Sprintf("%s: backend %s lives on host %s, this is %s", ErrUnreachable, e.Backend, e.Host, e.Here)
}

// Unwrap makes errors.Is(err, ErrUnreachable) true.
func (e *Elsewhere) Unwrap() error { return ErrUnreachable }

// Told tells operators where to ask instead.
func (e *Elsewhere) Told() *fault.Error {
	return fault.New(fault.Conflict, "place_elsewhere",
		"The files of %s live on host %s, this is %s: ask a server there (SMARTSELLER_URL).", e.Backend, e.Host, e.Here).Because(e)
}

// What a caller of the Router meets when a storefront cannot be served.
var (
	ErrBusy = fault.New(fault.Unavailable, "storefront_busy",
		"The storefront is being moved and did not answer in time; try again.").Retry(1)
	ErrDown = fault.New(fault.Unavailable, "storefront_unavailable",
		"The storefront's database cannot be reached right now; try again.").Retry(2)
	ErrNoRoom = fault.New(fault.Unavailable, "storefront_full",
		"The disk of the storefront's database is full, so that nothing can be saved: it needs room; then try again.").Retry(2)
	// ErrContended: others kept a lock, or kept winning conflicts, for longer than a caller
	// should wait. Nothing was changed.
	ErrContended = fault.New(fault.Unavailable, "write_conflict",
		"Too much was asked of the same data at once, and this did not get its turn; nothing was changed: try again.").Retry(1)
	ErrOutcomeUnknown = fault.New(fault.Unavailable, "outcome_unknown",
		"The storefront's database went away while the change was being saved: it may or may not have been made. Look before you try again.")
	ErrNoStorefront = fault.New(fault.NotFound, "storefront_not_found", "There is no such storefront.")
)

// CannotMigrate tells operators which migration fails on a backend; nil for an error of
// another cause.
func CannotMigrate(err error, backend string) error {
	var failed *database.MigrationError
	if !errors.As(err, &failed) {
		return nil
	}
	return fault.New(fault.Unavailable, "migration_failed",
		"On %s %s. The place is as it was before that one: remove the cause, then try again.", backend, failed).Because(err)
}

// UniqueError names the unique key that a statement met.
type UniqueError struct {
	Table string
	Key   string // the constraint's or index's name as in the schema; "" when the engine does not say
}

func (e *UniqueError) Error() string { return "unique key " + e.Key + " of " + e.Table + " is taken" }

// Is makes errors.Is(err, ErrUnique) true.
func (e *UniqueError) Is(target error) bool { return target == ErrUnique }
