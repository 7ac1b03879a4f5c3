// Package upgrades keeps the tenant schema of every storefront's place up to date: it
// says how each one is, and carries out runs that upgrade all of them in waves.
//
// What a run upgrades, and counts, is a place: a storefront's own file or database, or
// the one database that all storefronts of a shared backend are in.
package upgrades

import (
	"smartseller/backends"
	"smartseller/platform/fault"
)

// State is where a run is.
type State string

// The states of a run.
const (
	Running   State = "running"
	Completed State = "completed" // every place had its turn
	Cancelled State = "cancelled"
)

// PlaceState is where one place of a run is.
type PlaceState string

// The states of a run's place.
const (
	Waiting PlaceState = "waiting" // for its turn, for a move to end, or for a server on its host
	Done    PlaceState = "done"    // it is up to date
	Failed  PlaceState = "failed"
	Skipped PlaceState = "skipped" // the run was cancelled before; one that is being upgraded then becomes done or failed
)

// Run brings the tenant schema of every storefront's place up to date. Times are
// microseconds UTC.
type Run struct {
	ID          string
	State       State
	RequestedBy string
	CreatedAt   int64
	EndedAt     *int64
	Places      map[PlaceState]int64 // how many are in each state
	Wave        int64                // the first one with a place that waits; -1: none
	Changes     int64                // so far: grows with whatever changes in the run

	known int64
}

// Key names a place of a run.
type Key struct {
	Storefront backends.StorefrontID `db:"storefront_id"` // "": the database that all on the backend share
	Backend    string                `db:"backend"`       // where it was when the run learned of it
}

// Place is one place of a run.
type Place struct {
	Key
	Run       string     `db:"run_id"`
	Slug      string     `db:"slug"`
	Holds     int64      `db:"holds"` // storefronts, now
	Wave      int64      `db:"wave"`
	State     PlaceState `db:"state"`
	Cause     string     `db:"cause"` // why it failed, or what it waits for
	Before    int64      `db:"version_before"`
	Version   int64      `db:"version"` // both 0: it was not reached
	Change    int64      `db:"change"`  // grows with whatever changes in the run
	UpdatedAt int64      `db:"updated_at"`
}

// Fate is what the newest run made of a storefront's place; the zero Fate: nothing yet.
type Fate struct {
	State PlaceState
	Cause string
}

const (
	waveSize    = 50 // places in a wave behind the first
	placesAside = 4  // that one instance upgrades side by side
)

// Errors of operations.
var (
	ErrNoRun         = fault.New(fault.NotFound, "upgrade_not_found", "There is no such upgrade; list the upgrades to see their ids.")
	ErrNothingFailed = fault.New(fault.Conflict, "nothing_failed", "No place failed in the newest upgrade: nothing is to be repeated.")
	ErrRunEnded      = fault.New(fault.Conflict, "upgrade_ended", "The upgrade has ended: there is nothing to cancel.")
	ErrNewerRun      = fault.New(fault.Conflict, "upgrade_newer",
		"A newer program than this one is upgrading the places: ask one of its instances, or wait for its end.")
	// ErrNewerRan: it has ended, and to wait is no use.
	ErrNewerRan = fault.New(fault.Conflict, "upgraded_by_newer",
		"The newest upgrade was a newer program's, and has ended: this one has nothing to add. Ask a server of that version, or bring this one to it.")
	ErrRunCancelled = fault.New(fault.Conflict, "upgrade_cancelled",
		"The newest upgrade was cancelled, and nothing of it is repeated: begin a new one (smartseller schema upgrade).")
)
