// Package seller shows a storefront's seller the moves of that storefront, and takes
// their "not now". Nothing in it names a backend, an address or another storefront.
package seller

import (
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/platform/fault"
)

// State is where a move is, in a seller's words.
type State string

// The states.
const (
	Planned  State = "planned"   // by a plan, or about to begin
	UnderWay State = "under_way" // the storefront serves on from where it was
	Paused   State = "paused"
	Moved    State = "moved" // it serves from the new place; going back is possible still
	Done     State = "done"
	NotMoved State = "not_moved" // given up, or taken back; the storefront is where it was
)

var states = map[migration.Phase]State{
	migration.Planned: Planned, migration.Preparing: UnderWay, migration.Copying: UnderWay, migration.CatchingUp: UnderWay,
	migration.Verifying: UnderWay, migration.CuttingOver: UnderWay, migration.Cancelling: UnderWay, migration.RollingBack: UnderWay,
	migration.Paused: Paused, migration.Watching: Moved, migration.Finalizing: Moved, migration.Completed: Done,
	migration.Cancelled: NotMoved, migration.Failed: NotMoved, migration.RolledBack: NotMoved, migration.Rehearsed: NotMoved,
}

// awaitsBegin is what a move waits for that is to begin later.
const awaitsBegin planning.Awaits = "begin"

// Move is a move as the seller sees it. Times are microseconds UTC; 0: not known.
type Move struct {
	ID        string // "" while a plan has not started it
	State     State
	Phase     migration.Phase
	Trial     string // migration.Rehearsal, migration.Drill, or "": it is to last
	From, To  backends.Kind
	Copied    int64 // rows
	Total     int64 // rows
	ETA       int64 // when it may be ready to cut over, as far as can be told from its speed
	BeginsAt  int64 // of a move that is to begin later
	CutsAt    int64 // when it changes over, of a move that is ready and stands by
	Awaits    planning.Awaits
	CreatedAt int64
	MovedAt   int64 // when it came to the new place, unless it has gone back
	EndedAt   int64
	Receipt   *Receipt
}

// Receipt is what a move that ended leaves the seller. Reference finds the whole, signed
// one at the operator's.
type Receipt struct {
	Reference   string
	Outcome     State
	Rows        int64
	StallMicros int64 // the longest that a write waited
	StartedAt   int64
	EndedAt     int64
}

// NotNow asks for no cutover between two times.
type NotNow struct {
	ID          string
	From, Until time.Time
	Reason      string
}

// Listed is a NotNow in the list for operators.
type Listed struct {
	NotNow
	Storefront backends.StorefrontID
	Slug       string // the storefront's
}

// A storefront that can never be moved holds its backend up for ever.
const (
	longest = 90 * 24 * time.Hour // how far ahead a "not now" may reach
	most    = 20                  // of those that are not over
)

// kept is for how long one is that is over: a plan looks for a quiet hour in the day behind it.
const kept = 24 * time.Hour

// Errors of operations.
var (
	ErrNoMove  = fault.New(fault.NotFound, "move_not_found", "There is no such move of your storefront; list the moves to see their ids.")
	ErrTooMany = fault.New(fault.Conflict, "limit_reached", "A storefront has at most %d times ahead in which it does not change over: withdraw one first.", most)
)

func (n NotNow) check(now time.Time) error {
	switch {
	case !n.Until.After(n.From):
		return fault.InvalidField("/until", "before_from", "must be later than from")
	case !n.Until.After(now):
		return fault.InvalidField("/until", "in_the_past", "must be in the future")
	case n.Until.Sub(now) > longest:
		return fault.InvalidField("/until", "too_far", "must be within 90 days")
	}
	return nil
}
