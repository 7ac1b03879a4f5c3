package planning

import (
	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/fault"
)

// PlanState is where a plan is.
type PlanState string

// The states of a plan.
const (
	Proposed   PlanState = "proposed" // waits for an approval
	Running    PlanState = "running"
	Paused     PlanState = "paused"     // by an operator
	Stopped    PlanState = "stopped"    // by its failure budget
	Cancelling PlanState = "cancelling" // moves that have not cut over are being undone
	Cancelled  PlanState = "cancelled"
	Completed  PlanState = "completed"
)

var planStates = []PlanState{Proposed, Running, Paused, Stopped, Cancelling, Cancelled, Completed}

// MoveState is where one move of a plan is.
type MoveState string

// The states of a plan's move.
const (
	Waiting MoveState = "waiting"
	Moving  MoveState = "moving"  // under way
	Moved   MoveState = "moved"   // the storefront is at its target, and may still be rolled back
	Done    MoveState = "done"    // completed
	Failed  MoveState = "failed"  // failed, was cancelled or rolled back
	Skipped MoveState = "skipped" // never begun
)

var moveStates = []MoveState{Waiting, Moving, Moved, Done, Failed, Skipped}

// Priority says which moves of a plan come first.
type Priority string

// The priorities.
const (
	SmallestFirst Priority = "smallest" // the least bytes
	LeastRisk     Priority = "risk"     // the fewest requests that would notice
	Relief        Priority = "relief"   // whatever relieves the hottest backend most
)

// PlanOptions are how a plan is carried out. The zero value of each stands for what
// its documentation calls the default; where another value is, 0 cannot be asked for.
type PlanOptions struct {
	Priority      Priority `json:"priority,omitempty" enum:"smallest,risk,relief" doc:"Which moves come first; default smallest"`
	Canaries      *int64   `json:"canaries,omitempty" minimum:"0" maximum:"1000" doc:"How many of the smallest storefronts go before all others, as a wave of their own; 0: none; default 1"`
	SoakSeconds   int64    `json:"soak_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"For how long canaries are watched at their targets before the next wave begins; default 0: not at all"`
	WaveSize      int64    `json:"wave_size,omitempty" minimum:"1" maximum:"1000" doc:"Moves in each later wave, which begins when the one before is at its targets; default 20"`
	PerBackend    int64    `json:"per_backend,omitempty" minimum:"1" maximum:"100" doc:"Moves that may copy from or to one backend at a time, and beside them as many that may cut over, those of operators counted; those that stand by for their cutover are not; default 2"`
	FailureBudget int64    `json:"failure_budget,omitempty" minimum:"0" maximum:"10000" doc:"How many moves may fail before the plan stops; default 0: the first one stops it"`
	AtOnce        bool     `json:"at_once,omitempty" doc:"Cut over as soon as a move is ready; otherwise in the quietest hour of the day that follows, by the traffic of the last week"`
	CutoverWindow string   `json:"cutover_window,omitempty" maxLength:"11" example:"02:00-05:00" doc:"Cut over only within this part of the day, by the clocks of each storefront; empty: at any time"`
	// Of each move; its cutover is the plan's own.
	WindowSeconds int64 `json:"window_seconds,omitempty" minimum:"1" maximum:"2592000" doc:"How long a rollback stays possible; default a day"`
	Unpaced       bool  `json:"unpaced,omitempty" doc:"Copy at full speed, whatever requests feel"`
	PacePercent   int64 `json:"pace_percent,omitempty" minimum:"1" maximum:"100" doc:"Share of the time that each move may work; default 100"`
}

// withDefaults fills in what was left to the planner.
func (o PlanOptions) withDefaults() (PlanOptions, error) {
	if o.Priority == "" {
		o.Priority = SmallestFirst
	}
	if o.Canaries == nil {
		o.Canaries = new(int64(1))
	}
	if *o.Canaries == 0 && o.SoakSeconds > 0 {
		return o, fault.InvalidField("/options/soak_seconds", "no_canaries", "there are no canaries to watch: leave it out, or have some go first")
	}
	for field, value := range map[*int64]int64{&o.WaveSize: 20, &o.PerBackend: 2} {
		if *field == 0 {
			*field = value
		}
	}
	_, err := migration.ParseWindow(o.CutoverWindow, "UTC")
	return o, err
}

// canaries is how many go first.
func (o PlanOptions) canaries() int64 {
	if o.Canaries == nil {
		return 1
	}
	return *o.Canaries
}

// move is what each move of the plan is told.
func (o PlanOptions) move(zone string) migration.Options {
	m := migration.Options{ManualCutover: true, CutoverWindow: o.CutoverWindow, WindowSeconds: o.WindowSeconds, Unpaced: o.Unpaced, PacePercent: o.PacePercent}
	if o.CutoverWindow != "" {
		m.TimeZone = zone
	}
	return m
}

// Plan is many moves, carried out over days. Times are microseconds UTC.
type Plan struct {
	ID          string              `json:"id"`
	State       PlanState           `json:"state" doc:"Where it is: proposed, until it is approved; running; paused by an operator; stopped by its failure budget; cancelling, while what has not cut over is undone; it ends as cancelled or completed"`
	Cause       string              `json:"cause,omitempty" doc:"Why it stopped, and what to do"`
	Waits       string              `json:"waits,omitempty" doc:"What all of its moves wait for, or its end does, and what to do; said of one plan, not in a list"`
	Options     PlanOptions         `json:"options"`
	Policy      string              `json:"policy,omitempty" doc:"That its moves come from"`
	Reason      string              `json:"reason"`
	Total       int64               `json:"total" doc:"Moves"`
	Moves       map[MoveState]int64 `json:"moves" doc:"How many are in each state"`
	Wave        int64               `json:"wave" doc:"The one that is under way, beside which some of earlier ones may be left; 0: the canaries, where there are any"`
	Waves       int64               `json:"waves"`
	LeftOut     int64               `json:"left_out" doc:"Moves that the policy wanted as well, and that did not fit into the plan"`
	RequestedBy string              `json:"requested_by"`
	ApprovedBy  string              `json:"approved_by,omitempty"`
	CreatedAt   int64               `json:"created_at" doc:"Microseconds UTC"`
	EndedAt     *int64              `json:"ended_at,omitempty" doc:"Microseconds UTC"`

	since     int64 // when it came to its state
	forgiven  int64 // failures before it was let go on
	lastWaits int64 // the last wave with a move that waits
	firstOpen int64 // the first wave with a move that waits or is under way, whatever sellers want
	begun     int64 // the last wave of which a move has begun
}

// PlanMove is one move of a plan.
type PlanMove struct {
	Seq        int64                 `json:"seq" db:"seq" doc:"Its turn, from 1"`
	Wave       int64                 `json:"wave" db:"wave" doc:"0: a canary, where there are any"`
	Storefront backends.StorefrontID `json:"storefront_id" db:"storefront_id"`
	Slug       string                `json:"slug" db:"slug"`
	Source     string                `json:"source" db:"source"`
	Target     string                `json:"target" db:"target"`
	Reason     string                `json:"reason" db:"reason"`
	Rows       int64                 `json:"rows" db:"row_count"`
	Bytes      int64                 `json:"bytes" db:"byte_count"`
	State      MoveState             `json:"state" db:"state" doc:"Where it is. One that succeeds: waiting, moving, moved (at its target, and may be rolled back), done; it ends as done, failed (also cancelled or rolled back) or skipped (never begun)"`
	Move       string                `json:"move_id,omitempty" db:"move_id"`
	Cause      string                `json:"cause,omitempty" db:"cause"`
	Waits      string                `json:"waits,omitempty" db:"waits" doc:"What it waits for before it begins or cuts over, where that is not what the whole plan waits for"`
	MovedAt    int64                 `json:"moved_at,omitempty" db:"moved_at" doc:"When it was at its target, microseconds UTC"`
}

// Wanted is a move that an operator wants in a plan.
type Wanted struct {
	Storefront string `json:"storefront" maxLength:"63" doc:"Id or slug"`
	Target     string `json:"target" maxLength:"40" doc:"Name of a registered backend"`
}

// NewPlan asks for a plan: of chosen moves or of a policy's.
type NewPlan struct {
	Moves     []Wanted
	Policy    string // YAML
	Options   PlanOptions
	Limit     int64 // moves; 0: MaxPlan
	Automatic bool  // needs no approval
	By        string
	Reason    string
}

// MaxPlan is how many moves one plan can have.
const MaxPlan = 10_000

// Errors of operations.
var (
	ErrNoPlan       = fault.New(fault.NotFound, "plan_not_found", "There is no such plan; list the plans to see their ids.")
	ErrNothingToDo  = fault.New(fault.Conflict, "nothing_to_plan", "The policy proposes no move now: there is nothing to plan. `smartseller plan propose` says why.")
	ErrPlannedTwice = fault.New(fault.Conflict, "storefront_planned", "Another plan is about to move one of these storefronts, or was made at the same moment: look at the open plans, then try again.")
)
