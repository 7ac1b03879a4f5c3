package migration

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/backends"
	"smartseller/platform/httpx"
	"smartseller/platform/identity"
)

// Schema implements huma.SchemaProvider.
func (Phase) Schema(huma.Registry) *huma.Schema { return httpx.OneOf(Phases()) }

// Schema implements huma.SchemaProvider.
func (Cut) Schema(huma.Registry) *huma.Schema { return httpx.OneOf(cuts) }

// Schema implements huma.SchemaProvider.
func (Intent) Schema(huma.Registry) *huma.Schema { return httpx.OneOf(append(wishes, WantYield)) }

type moveBody struct {
	ID         string          `json:"id"`
	Storefront string          `json:"storefront_id"`
	Slug       string          `json:"slug,omitempty" doc:"The storefront's; said in a list"`
	Source     string          `json:"source" doc:"Backend that it leaves"`
	Target     string          `json:"target" doc:"Backend that it goes to"`
	Phase      Phase           `json:"phase" doc:"Where it is. A move that succeeds: planned, preparing, copying, catching_up, verifying, cutting_over, watching, finalizing, completed; it ends as completed, cancelled, rolled_back, failed or rehearsed"`
	Cut        Cut             `json:"cut" doc:"The last attempt to commit: cutting, aborted, committed; empty: there was none, or it was given up"`
	Asked      Intent          `json:"asked,omitempty" doc:"What an operator asked and is not done yet; yield: a newer program did, which it makes way for"`
	Options    Options         `json:"options"`
	Stats      Stats           `json:"stats" doc:"What it measured so far"`
	Tables     []Checkpoint    `json:"tables,omitempty" doc:"How far each table's copy is; said of one move, not in a list"`
	Cause      string          `json:"cause,omitempty" doc:"Why it failed, is given up, or did not do what was asked"`
	Advice     string          `json:"advice,omitempty" doc:"What to do about that"`
	Receipt    json.RawMessage `json:"receipt,omitempty" doc:"The signed account of a move that was completed, rolled back or rehearsed; said of one move, not in a list"`
	By         string          `json:"requested_by"`
	Reason     string          `json:"reason"`
	CreatedAt  int64           `json:"created_at" doc:"Microseconds UTC"`
	UpdatedAt  int64           `json:"updated_at" doc:"Microseconds UTC"`
	EndedAt    *int64          `json:"ended_at,omitempty" doc:"Microseconds UTC; none: it is open"`
}

func bodyOf(m *Move, tables []Checkpoint) moveBody {
	b := moveBody{
		ID: m.ID, Storefront: string(m.Storefront), Source: m.Source.Backend, Target: m.Target.Backend, Phase: m.Phase,
		Cut: m.Cut, Asked: m.Intent, Options: m.Options, Stats: m.Stats, Tables: tables, Cause: m.Cause, Advice: m.Advice,
		By: m.RequestedBy, Reason: m.Reason, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt, EndedAt: m.EndedAt,
	}
	if m.Receipt != "" {
		b.Receipt = json.RawMessage(m.Receipt)
	}
	return b
}

// entryOf is a move in a list.
func entryOf(m Listed) moveBody {
	b := bodyOf(m.Move, nil)
	b.Slug, b.Receipt = m.Slug, nil
	return b
}

type startInput struct {
	Body struct {
		Storefront string  `json:"storefront_id" audit:"subject"`
		Target     string  `json:"target" doc:"Name of a registered backend" audit:"detail"`
		Reason     string  `json:"reason,omitempty" maxLength:"500" audit:"detail"`
		Options    Options `json:"options,omitempty"`
		DryRun     bool    `json:"dry_run,omitempty" doc:"Look at what would be done and change nothing" audit:"detail"`
	}
}

type startOutput struct {
	Status int
	Body   struct {
		Move    *moveBody `json:"move,omitempty"`
		Preview *Preview  `json:"preview,omitempty"`
	}
}

// looked describes the answer to a dry run, which has the body of the other one.
func looked() map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "A dry run: what would be done; nothing was changed",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/StartOutputBody"}}},
	}}
}

type moveInput struct {
	ID string `path:"id" maxLength:"36"`
}

type moveOutput struct{ Body moveBody }

type paceBody struct {
	Percent int64 `json:"percent" minimum:"1" maximum:"100" doc:"Share of the time that copying and comparing may work, at most" audit:"detail"`
}

type paceInput struct {
	ID   string `path:"id" maxLength:"36"`
	Body paceBody
}

type paceAll struct{ Body paceBody }

type explainOutput struct{ Body Explanation }

type listInput struct {
	httpx.PageByID
	Storefront string `query:"storefront_id" maxLength:"36" doc:"Only moves of this one"`
	Open       bool   `query:"open" doc:"Only moves that have not ended"`
}

type listOutput struct {
	Body struct {
		Data       []moveBody `json:"data"`
		NextCursor string     `json:"next_cursor,omitempty"`
	}
}

type eventsInput struct {
	httpx.StreamInput
	ID string `path:"id" maxLength:"36"`
}

const movesPath = "/api/admin/moves"

// Routes adds the admin operations on moves.
func Routes(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "start-move", Method: http.MethodPost, Path: movesPath, Summary: "Move a storefront to another backend, live",
		DefaultStatus: http.StatusAccepted, Responses: looked(), Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *startInput) (*startOutput, error) {
		r := Request{Storefront: backends.StorefrontID(in.Body.Storefront), Target: in.Body.Target, Options: in.Body.Options, By: identity.Admin(ctx), Reason: in.Body.Reason}
		out := &startOutput{Status: http.StatusAccepted}
		if in.Body.DryRun {
			preview, err := s.DryRun(ctx, r)
			out.Status, out.Body.Preview = http.StatusOK, preview
			return out, err
		}
		m, err := s.Start(ctx, r)
		if err != nil {
			return nil, err
		}
		body := bodyOf(m, nil)
		out.Body.Move = &body
		return out, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-moves", Method: http.MethodGet, Path: movesPath, Summary: "List moves, newest first", Security: httpx.Admin,
	}, func(ctx context.Context, in *listInput) (*listOutput, error) {
		moves, err := s.ListBy(ctx, Filter{Storefront: backends.StorefrontID(in.Storefront), Open: in.Open}, in.Cursor, in.Limit)
		out := &listOutput{}
		out.Body.Data = make([]moveBody, len(moves))
		for i, m := range moves {
			out.Body.Data[i] = entryOf(m)
		}
		if len(moves) == in.Limit {
			out.Body.NextCursor = moves[len(moves)-1].ID
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-move", Method: http.MethodGet, Path: movesPath + "/{id}", Summary: "Show one move", Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *moveInput) (*moveOutput, error) {
		m, err := s.Get(ctx, in.ID)
		return s.whole(ctx, m, err)
	})
	httpx.Register(server, huma.Operation{
		OperationID: "explain-move", Method: http.MethodGet, Path: movesPath + "/{id}/explain", Summary: "Say what a move waits for, and what to do",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *moveInput) (*explainOutput, error) {
		e, err := s.Explain(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &explainOutput{*e}, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "move-events", Method: http.MethodGet, Path: movesPath + "/{id}/events", Summary: "Follow a move, as Server-Sent Events",
		Description: "Every event of the move from its beginning, then each as it happens, until the move ends. Ids grow by one; a stream that " +
			"breaks off goes on behind Last-Event-ID. Data is an object: at, in microseconds UTC, and what, which depends on the kind of event. " +
			"Events are forgotten 90 days after the end of their move. The kinds, each with its what:\n" + aboutEvents(),
		Responses: httpx.Streamed(), Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
		if _, err := s.Get(ctx, in.ID); err != nil {
			return nil, err
		}
		return server.Stream(in.StreamInput, func(ctx context.Context, after int64) ([]httpx.StreamEvent, bool, error) {
			return s.stream(ctx, in.ID, after)
		})
	})
	newestRoute(server, s)
	paceRoutes(server, s)
	receiptRoutes(server, s)
	for _, want := range wishes {
		httpx.Register(server, huma.Operation{
			OperationID: string(want) + "-move", Method: http.MethodPost, Path: movesPath + "/{id}/" + string(want), Summary: "Ask a move to " + string(want),
			DefaultStatus: http.StatusAccepted, Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
		}, func(ctx context.Context, in *moveInput) (*moveOutput, error) {
			m, err := s.Ask(ctx, in.ID, want)
			if err != nil {
				return nil, err
			}
			return &moveOutput{bodyOf(m, nil)}, nil
		})
	}
}

type newestInput struct {
	Ref string `path:"ref" maxLength:"63" doc:"Id or slug of the storefront"`
}

func newestRoute(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "newest-move", Method: http.MethodGet, Path: "/api/admin/storefronts/{ref}/move",
		Summary: "Show a storefront's newest move: the open one, else the one that began last", Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *newestInput) (*moveOutput, error) {
		m, err := s.Newest(ctx, in.Ref)
		return s.whole(ctx, m, err)
	})
}

// whole is one move as it is shown, unless it could not be read.
func (s *Service) whole(ctx context.Context, m *Move, err error) (*moveOutput, error) {
	if err != nil {
		return nil, err
	}
	tables, err := s.Checkpoints(ctx, m.ID)
	return &moveOutput{bodyOf(m, tables)}, err
}

func paceRoutes(server *httpx.Server, s *Service) {
	const all = "/api/admin/move-pace"
	httpx.Register(server, huma.Operation{
		OperationID: "pace-move", Method: http.MethodPut, Path: movesPath + "/{id}/pace", Summary: "Bound the pace of a move, also of one under way",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *paceInput) (*moveOutput, error) {
		m, err := s.Pace(ctx, in.ID, in.Body.Percent)
		if err != nil {
			return nil, err
		}
		return &moveOutput{bodyOf(m, nil)}, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "pace-moves", Method: http.MethodPut, Path: all, Summary: "Bound the pace of every move", Security: httpx.Admin,
	}, func(ctx context.Context, in *paceAll) (*paceAll, error) {
		return in, s.PaceAll(ctx, in.Body.Percent)
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-pace", Method: http.MethodGet, Path: all, Summary: "Show what bounds the pace of every move", Security: httpx.Admin,
	}, func(ctx context.Context, _ *struct{}) (*paceAll, error) {
		percent, err := s.PaceOfAll(ctx)
		return &paceAll{paceBody{percent}}, err
	})
}

type receiptInput struct{ Body SignedReceipt }

type receiptOutput struct {
	Body struct {
		Genuine bool `json:"genuine" doc:"It is as this platform signed it"`
	}
}

func receiptRoutes(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "check-receipt", Method: http.MethodPost, Path: "/api/admin/move-receipt-checks", Summary: "Say whether a receipt is as this platform signed it; nothing is changed",
		Security: httpx.AdminReads,
	}, func(_ context.Context, in *receiptInput) (*receiptOutput, error) {
		out := &receiptOutput{}
		out.Body.Genuine = s.Genuine(in.Body)
		return out, nil
	})
}

// eventData is an event in the stream. What depends on its kind.
type eventData struct {
	At   int64           `json:"at"` // microseconds UTC
	What json.RawMessage `json:"what"`
}

// stream reads events behind an id; last when the move has ended, so no more will come.
func (s *Service) stream(ctx context.Context, id string, after int64) ([]httpx.StreamEvent, bool, error) {
	m, err := s.Get(ctx, id)
	if err != nil {
		return nil, false, err
	}
	events, err := s.Events(ctx, id, after, 100)
	out := make([]httpx.StreamEvent, len(events))
	for i, e := range events {
		data, err := json.Marshal(eventData{At: e.At, What: json.RawMessage(e.Data)})
		if err != nil {
			return nil, false, err
		}
		out[i] = httpx.StreamEvent{ID: e.Seq, Kind: e.Kind, Data: string(data)}
	}
	return out, m.EndedAt != nil, err
}
