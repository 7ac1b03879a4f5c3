package planning

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/platform/httpx"
	"smartseller/platform/identity"
)

// Schema implements huma.SchemaProvider.
func (PlanState) Schema(huma.Registry) *huma.Schema { return httpx.OneOf(planStates) }

// Schema implements huma.SchemaProvider.
func (MoveState) Schema(huma.Registry) *huma.Schema { return httpx.OneOf(moveStates) }

type statisticsListOutput struct {
	Body struct {
		Data       []Statistics `json:"data"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}
}

type statisticsOutput struct{ Body Statistics }

type refInput struct {
	Ref string `path:"ref" doc:"Id or slug"`
}

type policyInput struct {
	Body struct {
		Policy string `json:"policy" maxLength:"65536" doc:"YAML; see the planner's README"`
	}
}

const shown = 1000 // proposals in an answer

type proposalsOutput struct {
	Body struct {
		Verdict
		Proposals      []Proposal `json:"proposals" doc:"The first 1000"`
		ProposalsTotal int        `json:"proposals_total"`
		Unplaced       []Unplaced `json:"unplaced" doc:"Moves that are wanted and have no room; the first 1000"`
		UnplacedTotal  int        `json:"unplaced_total"`
	}
}

// chosenMoves are, in the audit, the first of them and how many more there are.
type chosenMoves []Wanted

const audited = 5 // of them

func (m chosenMoves) String() string {
	var names []string
	for _, w := range m[:min(audited, len(m))] {
		names = append(names, w.Storefront+"="+w.Target)
	}
	if more := len(m) - audited; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, " ")
}

// policyText is, in the audit, no more than that there was one: the plan keeps it.
type policyText string

func (policyText) String() string { return "what a policy wants" }

type createInput struct {
	Body struct {
		Moves     chosenMoves `json:"moves,omitempty" maxItems:"10000" doc:"Chosen moves; or give a policy" audit:"subject"`
		Policy    policyText  `json:"policy,omitempty" maxLength:"65536" doc:"YAML: the moves that it proposes now" audit:"subject"`
		Options   PlanOptions `json:"options,omitempty" audit:"detail"`
		Limit     int64       `json:"limit,omitempty" minimum:"0" maximum:"10000" doc:"At most so many moves, the first in their order; 0: as many as a plan can have, 10000" audit:"detail"`
		Automatic bool        `json:"automatic,omitempty" doc:"Begin at once, without an approval" audit:"detail"`
		Reason    string      `json:"reason,omitempty" maxLength:"500" audit:"detail"`
	}
}

type simulateInput struct {
	Body struct {
		Plan      string      `json:"plan_id,omitempty" maxLength:"36" doc:"What is left of this plan, which has its own moves and options: nothing else but instances goes with it"`
		Moves     []Wanted    `json:"moves,omitempty" maxItems:"10000" doc:"Or a plan of these moves"`
		Policy    string      `json:"policy,omitempty" maxLength:"65536" doc:"Or of those that a policy, in YAML, proposes now"`
		Options   PlanOptions `json:"options,omitempty"`
		Limit     int64       `json:"limit,omitempty" minimum:"0" doc:"At most so many moves, the first in their order; 0: all"`
		Synthetic int         `json:"synthetic,omitempty" minimum:"0" maximum:"200000" doc:"Or of a made-up fleet of so many storefronts, with a policy or without"`
		Seed      uint64      `json:"seed,omitempty" doc:"The same one makes up the same fleet, for the same forecast"`
		Instances int         `json:"instances,omitempty" minimum:"1" maximum:"1000" doc:"That run moves; default 1"`
	}
}

type forecastOutput struct{ Body Forecast }

type planOutput struct{ Body Plan }

type planInput struct {
	ID string `path:"id" maxLength:"36"`
}

type plansOutput struct {
	Body struct {
		Data       []Plan `json:"data"`
		NextCursor string `json:"next_cursor,omitempty"`
	}
}

type planMovesInput struct {
	ID    string    `path:"id" maxLength:"36"`
	State MoveState `query:"state" doc:"Only those in this state"`
	After int64     `query:"cursor" minimum:"0" doc:"next_cursor of the page before"`
	Limit int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type planMovesOutput struct {
	Body struct {
		Data       []PlanMove `json:"data"`
		NextCursor string     `json:"next_cursor,omitempty"`
	}
}

const plansPath = "/api/admin/plans"

// Bodies may be as large as what they may hold, in bytes.
const (
	planBody   = 2 << 20   // as many moves as a plan can have
	policyBody = 256 << 10 // a policy of letters of any alphabet
)

// Routes adds the operations of the planner.
func Routes(server *httpx.Server, s *Service) {
	statisticsRoutes(server, s)
	planRoutes(server, s)
	httpx.Register(server, huma.Operation{
		OperationID: "propose-moves", Method: http.MethodPost, Path: "/api/admin/plan-proposals", Summary: "Say which moves a policy wants, and why; nothing is changed",
		Security: httpx.AdminReads, MaxBodyBytes: policyBody,
	}, func(ctx context.Context, in *policyInput) (*proposalsOutput, error) {
		v, err := s.Propose(ctx, in.Body.Policy)
		out := &proposalsOutput{}
		out.Body.Verdict = v
		out.Body.Proposals, out.Body.ProposalsTotal = first(v.Proposals), len(v.Proposals)
		out.Body.Unplaced, out.Body.UnplacedTotal = first(v.Unplaced), len(v.Unplaced)
		return out, err
	})
}

func first[T any](all []T) []T { return append([]T{}, all[:min(shown, len(all))]...) }

func statisticsRoutes(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "list-statistics", Method: http.MethodGet, Path: "/api/admin/statistics", Summary: "What is known of each storefront, by id",
		Security: httpx.Admin,
	}, func(ctx context.Context, in *struct{ httpx.PageByID }) (*statisticsListOutput, error) {
		found, err := s.Statistics(ctx, in.Cursor, in.Limit)
		out := &statisticsListOutput{}
		out.Body.Data = make([]Statistics, len(found))
		for i, f := range found {
			out.Body.Data[i] = *f
		}
		if len(found) == in.Limit {
			out.Body.NextCursor = string(found[len(found)-1].Storefront)
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-statistics", Method: http.MethodGet, Path: "/api/admin/storefronts/{ref}/statistics", Summary: "What is known of one storefront",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *refInput) (*statisticsOutput, error) {
		found, err := s.StatisticsOf(ctx, in.Ref)
		if err != nil {
			return nil, err
		}
		return &statisticsOutput{*found}, nil
	})
}

func planRoutes(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "create-plan", Method: http.MethodPost, Path: plansPath, Summary: "Plan many moves, chosen ones or those of a policy",
		DefaultStatus: http.StatusCreated, Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict}, MaxBodyBytes: planBody,
	}, func(ctx context.Context, in *createInput) (*planOutput, error) {
		b := in.Body
		p, err := s.Create(ctx, NewPlan{
			Moves: b.Moves, Policy: string(b.Policy), Options: b.Options, Limit: b.Limit, Automatic: b.Automatic, By: identity.Admin(ctx), Reason: b.Reason,
		})
		if err != nil {
			return nil, err
		}
		return &planOutput{*p}, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "simulate-plan", Method: http.MethodPost, Path: "/api/admin/plan-simulations", Summary: "Foretell how a plan would go; nothing is changed",
		Description: "How long it takes, what each backend carries over time, and what would move next. How long moves take comes from those that completed here.",
		Security:    httpx.AdminReads, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests}, MaxBodyBytes: planBody,
	}, func(ctx context.Context, in *simulateInput) (*forecastOutput, error) {
		b := in.Body
		f, err := s.Simulate(ctx, Imagine{
			NewPlan: NewPlan{Moves: b.Moves, Policy: b.Policy, Options: b.Options, Limit: b.Limit}, Plan: b.Plan, Synthetic: b.Synthetic, Seed: b.Seed, Instances: b.Instances,
		})
		if err != nil {
			return nil, err
		}
		return &forecastOutput{*f}, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-plans", Method: http.MethodGet, Path: plansPath, Summary: "List plans, newest first", Security: httpx.Admin,
	}, func(ctx context.Context, in *struct{ httpx.PageByID }) (*plansOutput, error) {
		plans, err := s.Plans(ctx, in.Cursor, in.Limit)
		out := &plansOutput{}
		out.Body.Data = make([]Plan, len(plans))
		for i, p := range plans {
			out.Body.Data[i] = *p
		}
		if len(plans) == in.Limit {
			out.Body.NextCursor = plans[len(plans)-1].ID
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-plan", Method: http.MethodGet, Path: plansPath + "/{id}", Summary: "Show one plan", Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *planInput) (*planOutput, error) {
		p, err := s.Plan(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &planOutput{*p}, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-plan-moves", Method: http.MethodGet, Path: plansPath + "/{id}/moves", Summary: "List the moves of a plan, by their turns",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *planMovesInput) (*planMovesOutput, error) {
		moves, err := s.PlanMoves(ctx, in.ID, in.State, in.After, in.Limit)
		out := &planMovesOutput{}
		out.Body.Data = append([]PlanMove{}, moves...)
		if len(moves) == in.Limit {
			out.Body.NextCursor = strconv.FormatInt(moves[len(moves)-1].Seq, 10)
		}
		return out, err
	})
	for action, summary := range map[PlanAction]string{
		Approve: "Approve a plan, which begins then", Pause: "Pause a plan: nothing more begins or cuts over",
		Resume: "Let a plan go on that was paused or stopped", Cancel: "End a plan; what has not cut over is undone",
	} {
		httpx.Register(server, huma.Operation{
			OperationID: string(action) + "-plan", Method: http.MethodPost, Path: plansPath + "/{id}/" + string(action), Summary: summary,
			DefaultStatus: http.StatusAccepted, Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
		}, func(ctx context.Context, in *planInput) (*planOutput, error) {
			p, err := s.Ask(ctx, in.ID, action, identity.Admin(ctx))
			if err != nil {
				return nil, err
			}
			return &planOutput{*p}, nil
		})
	}
}
