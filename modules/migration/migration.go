// Package migration moves storefronts live from one place to another: copied,
// caught up, verified, cut over without a failed request, rolled back without a
// lost one. It speaks rows and keys and never learns what a customer is.
//
// Every transition of a move is persisted in the control database before its
// effect is relied on, guarded by the fencing number of whoever runs the move;
// the data's own transactions check the same number at both places.
package migration

import (
	"context"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/platform/fault"
)

// Phase is where a move is.
type Phase string

// The phases, in the order of a move that succeeds; then those beside the way.
const (
	Planned     Phase = "planned"
	Preparing   Phase = "preparing"
	Copying     Phase = "copying"
	CatchingUp  Phase = "catching_up"
	Verifying   Phase = "verifying"
	CuttingOver Phase = "cutting_over"
	Watching    Phase = "watching"
	Finalizing  Phase = "finalizing"
	Completed   Phase = "completed"

	Paused      Phase = "paused"
	Cancelling  Phase = "cancelling"
	Cancelled   Phase = "cancelled"
	RollingBack Phase = "rolling_back"
	RolledBack  Phase = "rolled_back"
	Failed      Phase = "failed"
	Rehearsed   Phase = "rehearsed"
)

// Cut is what became of the last attempt to commit: abort and commit exclude
// each other by one compare-and-swap on it.
type Cut string

// The states of a cut.
const (
	NotCut    Cut = ""
	Cutting   Cut = "cutting"
	Aborted   Cut = "aborted"
	Committed Cut = "committed"
)

var cuts = []Cut{NotCut, Cutting, Aborted, Committed}

// Intent is what an operator asked of the move and it has not answered yet.
type Intent string

// The intents.
const (
	NoIntent     Intent = ""
	WantPause    Intent = "pause"
	WantResume   Intent = "resume"
	WantCancel   Intent = "cancel"
	WantCutover  Intent = "cutover"
	WantRollback Intent = "rollback"
	WantFinalize Intent = "finalize"
	WantVerify   Intent = "verify"
	// WantYield is asked by a newer program: see makeWay.
	WantYield Intent = "yield"
)

// wishes are what an operator can ask.
var wishes = []Intent{WantPause, WantResume, WantCancel, WantCutover, WantRollback, WantFinalize, WantVerify}

// Options are what a move's operator chooses.
type Options struct {
	ManualCutover bool   `json:"manual_cutover,omitempty" doc:"Verified, it waits in step until an operator says cutover"`
	Mode          string `json:"mode,omitempty" enum:"rehearsal,drill" doc:"rehearsal: the whole move but the commit, then cleaned up; it forecasts how long a move takes and how long writes stall. drill: the whole move, then, after drill_seconds at the new place, the way back by itself, with a report. None: a move"`
	DrillSeconds  int64  `json:"drill_seconds,omitempty" minimum:"0" maximum:"604800" doc:"How long a drill lets the storefront live at the new place, seconds; 0: ten minutes"`
	BeginAt       int64  `json:"begin_at,omitempty" minimum:"0" doc:"When the move begins, microseconds UTC, at most a year ahead; nothing is touched before; 0: at once"`
	CutoverWindow string `json:"cutover_window,omitempty" maxLength:"11" example:"02:00-05:00" doc:"Cut over only within this part of every day, by the clocks of time_zone; empty: at any time. A rollback asks for no window"`
	TimeZone      string `json:"time_zone,omitempty" maxLength:"64" example:"Europe/Berlin" doc:"Of cutover_window, a name of the IANA time zone database; empty: the storefront's own"`
	WindowSeconds int64  `json:"window_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long the old place is kept in step after the cutover, so that a rollback loses nothing, seconds, at most 30 days; 0: a day"`
	Unpaced       bool   `json:"unpaced,omitempty" doc:"Copy and compare at full speed, whatever requests feel"`
	PacePercent   int64  `json:"pace_percent,omitempty" minimum:"0" maximum:"100" doc:"Share of the time that copying and comparing may work, at most, percent; 0: 100. It can be changed while the move runs"`
}

func (o Options) window() time.Duration {
	if o.WindowSeconds > 0 {
		return time.Duration(o.WindowSeconds) * time.Second
	}
	return 24 * time.Hour
}

// Stats are what a move measured so far.
type Stats struct {
	Rows         map[string]int64  `json:"rows,omitempty" doc:"Of each table: when its copy began, when it was compared last, or as counted under the seal"`
	Digests      map[string]string `json:"digests,omitempty" doc:"Of each table's rows, which both places had when they were compared last"`
	Unsummed     []string          `json:"tables_without_sums,omitempty" doc:"Tables whose sums by the servers themselves could not be compared, since they were written all the time"`
	Captured     int64             `json:"captured" doc:"Changes that were brought over, there and back"`
	PacePercent  int64             `json:"pace_percent" doc:"Share of the time that copying worked last, percent; 0: it halted for the sake of requests"`
	Halted       string            `json:"halted,omitempty" doc:"Why the copy halts for the sake of a server; empty: it does not"`
	Doing        string            `json:"doing,omitempty" doc:"What may take long in its phase; empty: nothing that the phase does not say"`
	Trouble      *Trouble          `json:"trouble,omitempty" doc:"What keeps the move from going on; none: nothing that has lasted"`
	CutoverTries int64             `json:"cutover_tries" doc:"Attempts to cut over that were begun; of a rollback, since it was asked for"`
	VerifiedAt   int64             `json:"verified_at,omitempty" doc:"When it was verified and began to wait for its cutover, microseconds UTC; 0: not yet"`
	ReadyMicros  int64             `json:"ready_micros,omitempty" doc:"How long it worked until it was verified for the first time, without pauses, microseconds"`
	WorkedMicros map[Phase]int64   `json:"worked_micros,omitempty" doc:"How long each phase lasted that has ended, or was paused, without the pauses, microseconds"`
	SinceMicros  int64             `json:"since_micros,omitempty" doc:"When the phase under way began, or went on behind a pause, microseconds UTC"`
	CommittedAt  int64             `json:"committed_at,omitempty" doc:"When the cutover was committed, microseconds UTC; 0: not yet"`
	BackAt       int64             `json:"back_at,omitempty" doc:"When a rollback was committed, microseconds UTC; 0: none was"`
	CutAt        int64             `json:"cut_at,omitempty" doc:"When the last attempt to commit began, before writes had to wait, microseconds UTC"`
	// Where the instance died meanwhile: at most that, or up to the commit, if it had opened the
	// new place already.
	StallMicros     int64             `json:"stall_micros,omitempty" doc:"The longest for which writes waited in an attempt to cut over, microseconds"`
	BackStallMicros int64             `json:"back_stall_micros,omitempty" doc:"The longest for which writes waited in an attempt to roll back, microseconds"`
	PhaseStartedAt  map[Phase]int64   `json:"phase_started_at,omitempty" doc:"When it entered each phase last, a return behind a pause not counted, microseconds UTC"`
	Gates           map[string]string `json:"gates,omitempty" doc:"What each gate measured, by its name"`
	Purged          int64             `json:"purged" doc:"Rows that were erased where the storefront is not any more"`
	Bytes           int64             `json:"bytes,omitempty" doc:"What the storefront took up at its source before the move, bytes; 0: not measured yet"`
	TargetBytes     int64             `json:"target_bytes,omitempty" doc:"What it took up at the target once it was there, bytes; 0: not measured yet"`
	Forecast        *Estimate         `json:"forecast,omitempty" doc:"How the move was expected to go, when it began"`
	Rehearsed       bool              `json:"rehearsed,omitempty" doc:"A rehearsal came as far as the commit"`
	Audit           *Audit            `json:"audit,omitempty" doc:"The last comparison of both places in the rollback window; none: none has ended yet"`
	Suspected       bool              `json:"suspected,omitempty" doc:"A comparison in the rollback window has found a difference, and has not ended"`
	CapturedBefore  int64             `json:"captured_before,omitempty" doc:"captured at the commit; what came later was written at the new place"`
	// As the instance saw them that ran the move; 0 also when it saw too few.
	P95Before       int64        `json:"p95_before_micros,omitempty" doc:"Within what 95 of 100 requests were answered at the old place before the cutover, microseconds; 0: not known"`
	P95There        int64        `json:"p95_there_micros,omitempty" doc:"Within what they were at the new place before a rollback, microseconds; 0: not known"`
	RollbackRefused string       `json:"rollback_refused,omitempty" doc:"Why the last rollback that was tried did not come about"`
	Drill           *DrillReport `json:"drill,omitempty" doc:"The report of an exercise that has ended"`
}

// Move is one migration of one storefront.
type Move struct {
	ID          string
	Storefront  backends.StorefrontID
	Source      backends.Place
	Target      backends.Place
	SourceEpoch int64 // the placement's epoch when the move was planned
	Phase       Phase
	ResumePhase Phase
	Cut         Cut
	Intent      Intent
	Gen         int64
	Owner       string
	LeaseUntil  int64
	Options     Options
	Stats       Stats
	Cause       string
	Advice      string
	Receipt     string
	RequestedBy string
	Reason      string
	CreatedAt   int64
	UpdatedAt   int64
	EndedAt     *int64
	// LeftBehind is the backend of a place that the storefront left, or never came to live
	// at, while that could not be erased since it is out of reach; "": nothing is left.
	LeftBehind string
	// Kept is what was asked for before a pause was, and holds again after it.
	Kept Intent
	// TenantMigrations is how many the program had that made both places equal; 0: they
	// are not made yet.
	TenantMigrations int64
	// SourceKept says that the move ended while its source was not there: should that come back, it
	// is freed of the move.
	SourceKept bool
}

// TargetEpoch is the placement's epoch after the cutover.
func (m *Move) TargetEpoch() int64 { return m.SourceEpoch + 1 }

// placesToSpare are the backends whose requests the copy yields to.
func (m *Move) placesToSpare() []string {
	if m.Options.Unpaced {
		return nil
	}
	return []string{m.Source.Backend, m.Target.Backend}
}

func (m *Move) token() backends.Token { return backends.Token{Move: m.ID, Gen: m.Gen} }

// Checkpoint is a table's progress, for display; what a resumed copy goes by
// lies at the target, in the transactions of the chunks.
type Checkpoint struct {
	Table  string `db:"table_name" json:"table"`
	Copied int64  `db:"copied" json:"copied" doc:"Rows"`
	Total  int64  `db:"total" json:"total" doc:"Rows that it had when the copy began"`
	Done   bool   `db:"done" json:"done"`
}

// Event is one entry of a move's story. Seq grows by one, without gaps. Of which kinds it can be,
// and what the data says then: eventKinds.
type Event struct {
	Seq  int64  `db:"seq" json:"seq"`
	At   int64  `db:"at" json:"at"`
	Kind string `db:"kind" json:"kind"`
	Data string `db:"data" json:"data"`
}

// Gate is a check that a module adds before the cutover: whatever must work at
// the target. The Readers are one snapshot of each place, taken while customers go
// on: a check that fails is repeated before it counts. found and an error's text go
// into the report: what was looked at, or what failed and what to do; no personal data.
// What an error says that has the method Row() backends.Key does not count while that row changes.
type Gate struct {
	Name  string
	Check func(ctx context.Context, source, target backends.Reader) (found string, err error)
}

// CanaryTable holds the row that proves, before a cutover, that rows travel back
// as well. No module reads it.
var CanaryTable = &backends.Table{Name: "move_canary", Columns: []backends.Column{
	backends.T("id"), backends.T("value"), backends.I("written_at"),
}}

// Tables are the module's tenant tables.
func Tables() []*backends.Table { return []*backends.Table{CanaryTable} }

// Errors of operations.
var (
	ErrNoMove       = fault.New(fault.NotFound, "move_not_found", "There is no such move; list the moves to see their ids.")
	ErrAlreadyThere = fault.New(fault.Conflict, "already_there", "The storefront already lives on that backend: nothing to move.")
	ErrMoveOpen     = fault.New(fault.Conflict, "move_open", "Another move of this storefront is open: finish or cancel that one first.")
)

// Errors between the parts of a run.
var (
	errLost   = errors.New("another instance took the move over")
	errPaused = errors.New("asked to pause")
	errCancel = errors.New("asked to cancel")

	errAskedBack = errors.New("asked to roll back")
	errTakenBack = errors.New("the word to cut over was taken back")
	errBarred    = errors.New("the seller has come to want no move")
)

// mismatchError says that the places differ where they must not.
type mismatchError struct{ text string }

func (e *mismatchError) Error() string { return e.text }
