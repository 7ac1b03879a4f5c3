package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"smartseller/platform/fault"
)

type planCommand struct {
	Statistics planStatistics `cmd:"" help:"Say what is known of storefronts: rows, bytes, rates." example:"smartseller plan statistics demo"`
	Propose    planPropose    `cmd:"" help:"Say which moves a policy wants, and why; nothing is changed." example:"smartseller plan propose --policy policy.yaml"`
	Create     planCreate     `cmd:"" help:"Plan many moves, chosen ones or those of a policy." example:"smartseller plan create demo=files-2 toys=files-2 --cutover-window 02:00-05:00"`
	Simulate   planSimulate   `cmd:"" help:"Foretell how a plan would go: how long, what each backend carries, what moves next; nothing is changed." example:"smartseller plan simulate --synthetic 100000 --seed 7 --wave-size 500"`
	List       planList       `cmd:"" help:"List plans, newest first." example:"smartseller plan list"`
	Show       planShow       `cmd:"" help:"Show one, and its moves by their turns." example:"smartseller plan show 0193b3a0-0000-7000-8000-000000000001 --state failed"`
	Approve    planApprove    `cmd:"" help:"Let one begin." example:"smartseller plan approve 0193b3a0-0000-7000-8000-000000000001"`
	Pause      planPause      `cmd:"" help:"Pause one: nothing more begins or cuts over." example:"smartseller plan pause 0193b3a0-0000-7000-8000-000000000001"`
	Resume     planResume     `cmd:"" help:"Let one go on that was paused or stopped." example:"smartseller plan resume 0193b3a0-0000-7000-8000-000000000001"`
	Cancel     planCancel     `cmd:"" help:"End one; what has not cut over is undone." example:"smartseller plan cancel 0193b3a0-0000-7000-8000-000000000001"`
}

const plansPath = "/api/admin/plans"

// planned is what makes a plan, of a command.
type planned struct {
	Moves  []string `arg:"" optional:"" help:"STOREFRONT=BACKEND, any number of them; or give a policy."`
	Policy string   `type:"path" placeholder:"FILE" help:"A policy in YAML: the moves that it proposes now."`
	Limit  int64    `help:"At most so many moves, the first in their order; 0: as many as a plan can have."`

	planOptions
}

// planOptions are sent as they were given: what was not is the server's to choose, or a plan's
// that exists.
type planOptions struct {
	Priority      string `json:"priority,omitempty" enum:"smallest,risk,relief," default:"" placeholder:"smallest" help:"Which moves come first: smallest, the smallest storefronts; risk, those with the fewest requests; or relief, what relieves the hottest backend most."`
	Canaries      *int64 `json:"canaries,omitempty" placeholder:"1" help:"So many of the smallest storefronts go before all others; 0: none."`
	Soak          *int64 `json:"soak_seconds,omitempty" placeholder:"0" help:"Seconds for which canaries are watched before the next wave begins; 0: not at all."`
	WaveSize      *int64 `json:"wave_size,omitempty" placeholder:"20" help:"Moves in each later wave."`
	PerBackend    *int64 `json:"per_backend,omitempty" placeholder:"2" help:"Moves that may copy from or to one backend at a time, and beside them as many that may cut over."`
	FailureBudget *int64 `json:"failure_budget,omitempty" placeholder:"0" help:"Moves that may fail before the plan stops; 0: the first one stops it."`
	AtOnce        bool   `json:"at_once,omitempty" help:"Cut over as soon as a move is ready, not in the quietest hour of a day."`
	CutoverWindow string `json:"cutover_window,omitempty" placeholder:"02:00-05:00" help:"Cut over only within this part of the day, by the clocks of each storefront."`
	Window        *int64 `json:"window_seconds,omitempty" placeholder:"86400" help:"Seconds in which a rollback stays possible, at least 1."`
	Unpaced       bool   `json:"unpaced,omitempty" help:"Copy at full speed, whatever requests feel."`
	Pace          *int64 `json:"pace_percent,omitempty" placeholder:"100" help:"Per cent of the time that each move may work, 1 to 100."`
}

// body is what the server is asked for.
func (p *planned) body() (map[string]any, error) {
	body := map[string]any{"limit": p.Limit, "options": p.planOptions}
	var moves []map[string]string
	for _, m := range p.Moves {
		storefront, target, _ := strings.Cut(m, "=")
		if storefront == "" || target == "" {
			return nil, fault.New(fault.Invalid, "invalid_move", "The move %q must be STOREFRONT=BACKEND, such as demo=files-2.", m)
		}
		moves = append(moves, map[string]string{"storefront": storefront, "target": target})
	}
	if len(moves) > 0 {
		body["moves"] = moves
	}
	if p.Policy != "" {
		policy, err := readPolicy(p.Policy)
		if err != nil {
			return nil, err
		}
		body["policy"] = policy
	}
	return body, nil
}

type planCreate struct {
	remote
	output
	planned
	Automatic bool   `help:"Begin at once, without an approval."`
	Reason    string `help:"For the receipts."`
}

// Run makes the plan.
func (c *planCreate) Run(ctx context.Context, out io.Writer) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	body["automatic"], body["reason"] = c.Automatic, c.Reason
	var said json.RawMessage
	if err := c.callPatiently(ctx, plansPath, body, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, func(p planState) string {
		return p.line() + "\n  look at it: smartseller plan show " + p.ID
	})
}

// planState is a plan, as the server says it.
type planState struct {
	ID, State, Cause, Waits, Reason string
	Total, Wave, Waves              int64
	LeftOut                         int64 `json:"left_out"`
	Moves                           map[string]int64
}

func (p planState) line() string {
	text := fmt.Sprintf("%s  %s  %d moves, wave %d of %d:", p.ID, p.State, p.Total, p.Wave+1, p.Waves)
	for _, state := range []string{"waiting", "moving", "moved", "done", "failed", "skipped"} {
		if n := p.Moves[state]; n > 0 {
			text += fmt.Sprintf(" %d %s", n, state)
		}
	}
	if p.LeftOut > 0 {
		text += fmt.Sprintf("; %d more were wanted and left out", p.LeftOut)
	}
	for _, more := range []string{p.Cause, p.Waits} {
		if more != "" {
			text += "\n  " + more
		}
	}
	return text
}

type planList struct {
	remote
	output
}

// Run prints a line per plan.
func (c *planList) Run(ctx context.Context, out io.Writer) error {
	return each(ctx, &c.remote, c.output, out, plansPath+"?limit=100", planState.line)
}

// planArg names a plan; it is part of every command on one.
type planArg struct {
	remote
	output
	Plan string `arg:"" help:"The plan's id."`
}

func (c *planArg) path() string { return plansPath + "/" + url.PathEscape(c.Plan) }

func (c *planArg) ask(ctx context.Context, out io.Writer, what string) error {
	var said json.RawMessage
	if err := c.call(ctx, http.MethodPost, c.path()+"/"+what, nil, &said); err != nil {
		return err
	}
	return answer(c.output, out, said, planState.line)
}

type planShow struct {
	planArg
	State string `enum:"waiting,moving,moved,done,failed,skipped," default:"" help:"Only moves in this state."`
}

// planMove is a move of a plan, as the server says it.
type planMove struct {
	Seq, Wave                                  int64
	Slug, Source, Target, State, Reason, Cause string
	Waits                                      string
	Move                                       string `json:"move_id"`
}

func (m planMove) line() string {
	text := fmt.Sprintf("%5d  wave %-3d %-24s %s -> %s  %s", m.Seq, m.Wave+1, m.Slug, m.Source, m.Target, m.State)
	for _, more := range []string{m.Move, m.Waits, m.Cause, m.Reason} {
		if more != "" {
			text += "  " + more
		}
	}
	return text
}

// Run prints the plan, then a line per move; in JSON an object for each.
func (c *planShow) Run(ctx context.Context, out io.Writer) error {
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, c.path(), nil, &said); err != nil {
		return err
	}
	if err := item(c.output, out, said, planState.line); err != nil {
		return err
	}
	path := c.path() + "/moves?limit=1000"
	if c.State != "" {
		path += "&state=" + c.State
	}
	return each(ctx, &c.remote, c.output, out, path, planMove.line)
}

type (
	planApprove struct{ planArg }
	planPause   struct{ planArg }
	planResume  struct{ planArg }
	planCancel  struct{ planArg }
)

// Run lets the plan begin.
func (c *planApprove) Run(ctx context.Context, out io.Writer) error {
	return c.ask(ctx, out, "approve")
}

// Run pauses the plan.
func (c *planPause) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "pause") }

// Run lets the plan go on.
func (c *planResume) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "resume") }

// Run ends the plan.
func (c *planCancel) Run(ctx context.Context, out io.Writer) error { return c.ask(ctx, out, "cancel") }
