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

// Options are what a move's operator chooses.
type Options struct {
	// ManualCutover waits, in step, until an operator says cutover.
	ManualCutover bool `json:"manual_cutover,omitempty"`
	// Mode is "", a move, or Rehearsal, or Drill.
	Mode string `json:"mode,omitempty" enum:"rehearsal,drill" doc:"rehearsal: the whole move but the commit, then cleaned up; it forecasts how long a move takes and how long writes stall. drill: the whole move, then, after drill_seconds at the new place, the way back by itself, with a report"`
	// DrillSeconds is how long a drill lets the storefront live at the new place; 0: ten minutes.
	DrillSeconds int64 `json:"drill_seconds,omitempty" minimum:"0" maximum:"604800" doc:"How long a drill lets the storefront live at the new place; 0: ten minutes"`
	// BeginAt is when the move begins, microseconds UTC; 0, or in the past: at once.
	BeginAt int64 `json:"begin_at,omitempty" minimum:"0" doc:"When the move begins, microseconds UTC, at most a year ahead; nothing is touched before; 0: at once"`
	// CutoverWindow is the part of every day in which the move may cut over, such as
	// 02:00-05:00, by the clocks of TimeZone; "": at any time. A rollback asks for no window.
	CutoverWindow string `json:"cutover_window,omitempty" maxLength:"11" example:"02:00-05:00" doc:"Cut over only within this part of the day; empty: at any time"`
	// TimeZone is a name of the IANA time zone database; "": the storefront's own.
	TimeZone string `json:"time_zone,omitempty" maxLength:"64" example:"Europe/Berlin" doc:"Of cutover_window; empty: the storefront's own"`
	// WindowSeconds is how long the old place is kept in step after the cutover,
	// so that a rollback loses nothing; 0: a day.
	WindowSeconds int64 `json:"window_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long a rollback stays possible, at most 30 days; default a day"`
	// Unpaced copies and compares at full speed, whatever requests feel.
	Unpaced bool `json:"unpaced,omitempty"`
	// PacePercent bounds the share of the time that copying and comparing may work;
	// 0: 100. It can be changed while the move runs.
	PacePercent int64 `json:"pace_percent,omitempty" minimum:"0" maximum:"100"`
}

func (o Options) window() time.Duration {
	if o.WindowSeconds > 0 {
		return time.Duration(o.WindowSeconds) * time.Second
	}
	return 24 * time.Hour
}

// Stats are what a move measured so far. Times are microseconds UTC.
type Stats struct {
	Rows    map[string]int64  `json:"rows,omitempty"`
	Digests map[string]string `json:"digests,omitempty"`
	// Unsummed are the tables whose sums by the servers themselves could not be compared.
	Unsummed []string `json:"tables_without_sums,omitempty"`
	Captured int64    `json:"captured"`
	// PacePercent is the share of the time that copying worked last; 0: it halted for the sake of requests.
	PacePercent int64 `json:"pace_percent"`
	// Halted is why the copy halts for the sake of a server; "": it does not.
	Halted string `json:"halted,omitempty"`
	// Doing is what may take long in its phase; "": nothing that the phase does not say.
	Doing string `json:"doing,omitempty"`
	// Trouble is what keeps the move from going on; nil: nothing that has lasted.
	Trouble      *Trouble `json:"trouble,omitempty"`
	CutoverTries int64    `json:"cutover_tries"`
	// VerifiedAt is when the move was verified and began to wait for its cutover; 0: not yet.
	VerifiedAt int64 `json:"verified_at,omitempty"`
	// ReadyMicros is how long it worked until it was verified for the first time.
	ReadyMicros int64 `json:"ready_micros,omitempty"`
	// WorkedMicros is how long each phase lasted that has ended, or was paused, without the
	// pauses; SinceMicros since when the one under way lasts.
	WorkedMicros map[Phase]int64 `json:"worked_micros,omitempty"`
	SinceMicros  int64           `json:"since_micros,omitempty"`
	CommittedAt  int64           `json:"committed_at,omitempty"`
	// BackAt is when a rollback was committed.
	BackAt int64 `json:"back_at,omitempty"`
	// CutAt is when the last attempt to commit began, before writes had to wait.
	CutAt int64 `json:"cut_at,omitempty"`
	// StallMicros is the longest for which writes waited in an attempt to cut over, and
	// BackStallMicros to roll back. Where the instance died meanwhile: at most that, or up to
	// the commit, if it had opened the new place already.
	StallMicros     int64             `json:"stall_micros,omitempty"`
	BackStallMicros int64             `json:"back_stall_micros,omitempty"`
	PhaseStartedAt  map[Phase]int64   `json:"phase_started_at,omitempty"`
	Gates           map[string]string `json:"gates,omitempty"`
	Purged          int64             `json:"purged"`
	// Bytes is what the storefront took up at its source before the move, TargetBytes at the
	// target once it was there; 0: not measured yet.
	Bytes       int64 `json:"bytes,omitempty"`
	TargetBytes int64 `json:"target_bytes,omitempty"`
	// Forecast is how the move was expected to go, when it began.
	Forecast *Estimate `json:"forecast,omitempty"`
	// Rehearsed says that a rehearsal came as far as the commit.
	Rehearsed bool `json:"rehearsed,omitempty"`
	// Audit is the last comparison of both places in the rollback window; nil: none has ended yet.
	Audit *Audit `json:"audit,omitempty"`
	// CapturedBefore is Captured at the commit; what came later was written at the new place.
	CapturedBefore int64 `json:"captured_before,omitempty"`
	// P95Before and P95There are the latencies of requests at the old place before the
	// cutover and at the new one before a rollback, as this instance saw them; 0: too few.
	P95Before int64 `json:"p95_before_micros,omitempty"`
	P95There  int64 `json:"p95_there_micros,omitempty"`
	// RollbackRefused is why the last rollback that was tried did not come about.
	RollbackRefused string `json:"rollback_refused,omitempty"`
	// Drill is the report of an exercise that has ended.
	Drill *DrillReport `json:"drill,omitempty"`
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
	Copied int64  `db:"copied" json:"copied"`
	Total  int64  `db:"total" json:"total"`
	Done   bool   `db:"done" json:"done"`
}

// Event is one entry of a move's story. Seq grows by one, without gaps.
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
)

// mismatchError says that the places differ where they must not.
type mismatchError struct{ text string }

func (e *mismatchError) Error() string { return e.text }
