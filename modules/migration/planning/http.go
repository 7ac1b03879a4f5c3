package planning

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/platform/httpx"
)

type listInput struct {
	Cursor string `query:"cursor" maxLength:"36" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
}

type statisticsListOutput struct {
	Body struct {
		Data       []Statistics `json:"data"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}
}

type statisticsOutput struct{ Body Statistics }

type refInput struct {
	Ref string `path:"ref" maxLength:"63" doc:"Id or slug"`
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

// Routes adds the operations of the planner.
func Routes(server *httpx.Server, s *Service) {
	statisticsRoutes(server, s)
	httpx.Register(server, huma.Operation{
		OperationID: "propose-moves", Method: http.MethodPost, Path: "/api/admin/plan-proposals", Summary: "Say which moves a policy wants, and why; nothing is changed",
		Security: httpx.Admin,
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
	}, func(ctx context.Context, in *listInput) (*statisticsListOutput, error) {
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
