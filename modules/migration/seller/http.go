package seller

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/httpx"
	"smartseller/platform/identity"
)

type sellerReceiptBody struct {
	Reference   string `json:"reference" doc:"By which the operator finds the whole, signed receipt"`
	Outcome     string `json:"outcome" enum:"done,not_moved"`
	Rows        int64  `json:"rows" doc:"How many records were moved, and compared one by one"`
	StallMicros int64  `json:"stall_micros" doc:"The longest that a change waited, microseconds"`
	StartedAt   int64  `json:"started_at" doc:"Microseconds UTC"`
	EndedAt     int64  `json:"ended_at" doc:"Microseconds UTC"`
}

type sellerMoveBody struct {
	ID        string             `json:"id,omitempty" doc:"None while it is planned and not begun"`
	State     string             `json:"state" enum:"planned,under_way,paused,moved,done,not_moved" doc:"moved: it serves from the new place, and can go back still; not_moved: given up or taken back"`
	Phase     migration.Phase    `json:"phase" doc:"Where it is. A move that succeeds: planned, preparing, copying, catching_up, verifying, cutting_over, watching, finalizing, completed"`
	Trial     string             `json:"trial,omitempty" enum:"rehearsal,drill" doc:"rehearsal: your storefront stays where it is; drill: it comes back by itself; none: the move is to last"`
	From      string             `json:"from,omitempty" doc:"Kind of database"`
	To        string             `json:"to,omitempty" doc:"Kind of database"`
	Copied    int64              `json:"copied_rows"`
	Total     int64              `json:"total_rows" doc:"0: not known yet, or of no interest any more"`
	ETA       int64              `json:"ready_at,omitempty" doc:"When it may be ready to change over, as its speed tells; microseconds UTC"`
	BeginsAt  int64              `json:"begins_at,omitempty" doc:"When it begins, microseconds UTC; none: it has begun, or no time was set"`
	CutsAt    int64              `json:"changes_over_at,omitempty" doc:"When it changes over, now that it is ready, as far as is known; microseconds UTC. What you ask for, and how busy your storefront is, may still change that"`
	Awaits    string             `json:"waits_for,omitempty" enum:"begin,turn,not_now,window,quiet_hour,operator" doc:"begin: its time to begin; turn: other moves come first; not_now: you asked that it does not change over; window: the part of the day in which it may; quiet_hour: the quietest hour of a day; operator: a word of the operators; none: it waits for nothing"`
	CreatedAt int64              `json:"created_at" doc:"Microseconds UTC"`
	MovedAt   int64              `json:"moved_at,omitempty" doc:"When your storefront came to the new place, microseconds UTC; none: it has not, or has gone back"`
	EndedAt   int64              `json:"ended_at,omitempty" doc:"Microseconds UTC"`
	Receipt   *sellerReceiptBody `json:"receipt,omitempty"`
}

func bodyOf(m Move) sellerMoveBody {
	b := sellerMoveBody{
		ID: m.ID, State: string(m.State), Phase: m.Phase, Trial: m.Trial, From: string(m.From), To: string(m.To), Copied: m.Copied, Total: m.Total, ETA: m.ETA,
		BeginsAt: m.BeginsAt, CutsAt: m.CutsAt, Awaits: string(m.Awaits),
		CreatedAt: m.CreatedAt, MovedAt: m.MovedAt, EndedAt: m.EndedAt,
	}
	if r := m.Receipt; r != nil {
		b.Receipt = &sellerReceiptBody{Reference: r.Reference, Outcome: string(r.Outcome), Rows: r.Rows, StallMicros: r.StallMicros, StartedAt: r.StartedAt, EndedAt: r.EndedAt}
	}
	return b
}

type sellerListInput struct {
	httpx.Page
}

type sellerListOutput struct {
	Body struct {
		Data       []sellerMoveBody `json:"data"`
		NextCursor string           `json:"next_cursor,omitempty"`
	}
}

type sellerMoveInput struct {
	ID string `path:"id" maxLength:"36"`
}

type sellerMoveOutput struct{ Body sellerMoveBody }

type notNowFields struct {
	From   *time.Time `json:"from,omitempty" doc:"None: now" audit:"detail"`
	Until  time.Time  `json:"until" doc:"At most 90 days ahead" audit:"detail"`
	Reason string     `json:"reason,omitempty" maxLength:"500" doc:"For the operators"`
}

type notNowBody struct {
	ID     string    `json:"id"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty" doc:"For the operators"`
}

type addNotNowInput struct{ Body notNowFields }

type notNowInput struct {
	ID string `path:"id" maxLength:"36"`
}

type notNowOutput struct{ Body notNowBody }

type notNowsOutput struct {
	Body struct {
		Data []notNowBody `json:"data"`
	}
}

func notNowOf(n NotNow) notNowBody {
	return notNowBody(n)
}

type blackoutsInput struct {
	httpx.PageByID
	Storefront string `query:"storefront_id" maxLength:"36" doc:"Only those of this one"`
}

type blackoutBody struct {
	ID         string `json:"id"`
	Storefront string `json:"storefront_id"`
	Slug       string `json:"slug,omitempty" doc:"The storefront's"`
	From       int64  `json:"begins_at" doc:"Microseconds UTC"`
	Until      int64  `json:"ends_at" doc:"Microseconds UTC"`
	Reason     string `json:"reason,omitempty" doc:"The seller's"`
}

type blackoutsOutput struct {
	Body struct {
		Data       []blackoutBody `json:"data"`
		NextCursor string         `json:"next_cursor,omitempty"`
	}
}

// own is the storefront whose seller asks.
func own(ctx context.Context) backends.StorefrontID {
	return backends.StorefrontID(identity.SellerOf(ctx))
}

// Routes adds the seller's operations. The storefront is the token's: none can be named.
func Routes(server *httpx.Server, s *Service) {
	const moves = "/api/seller/moves"
	httpx.Register(server, huma.Operation{
		OperationID: "list-own-moves", Method: http.MethodGet, Path: moves, Summary: "List the moves of your storefront: planned, then newest first", Security: httpx.Seller,
	}, func(ctx context.Context, in *sellerListInput) (*sellerListOutput, error) {
		found, next, err := s.Moves(ctx, own(ctx), in.Cursor, in.Limit)
		out := &sellerListOutput{}
		out.Body.Data, out.Body.NextCursor = make([]sellerMoveBody, len(found)), next
		for i, m := range found {
			out.Body.Data[i] = bodyOf(m)
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-own-move", Method: http.MethodGet, Path: moves + "/{id}", Summary: "Show one move of your storefront, with its progress or receipt",
		Security: httpx.Seller, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *sellerMoveInput) (*sellerMoveOutput, error) {
		m, err := s.Move(ctx, own(ctx), in.ID)
		return &sellerMoveOutput{bodyOf(m)}, err
	})
	notNowRoutes(server, s)
	operatorRoutes(server, s)
}

func notNowRoutes(server *httpx.Server, s *Service) {
	const path = "/api/seller/not-now"
	httpx.Register(server, huma.Operation{
		OperationID: "list-not-now", Method: http.MethodGet, Path: path, Summary: "List when your storefront does not change over: what is not past, by when it begins",
		Security: httpx.Seller,
	}, func(ctx context.Context, _ *struct{}) (*notNowsOutput, error) {
		found, err := s.NotNows(ctx, own(ctx))
		out := &notNowsOutput{}
		out.Body.Data = make([]notNowBody, len(found))
		for i, n := range found {
			out.Body.Data[i] = notNowOf(n)
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "add-not-now", Method: http.MethodPost, Path: path, Summary: "Ask that your storefront does not change over until a time",
		Description: fmt.Sprintf("A move may be prepared meanwhile, which nobody feels; the change to the new place waits. One that has begun is not stopped. "+
			"What was asked before holds as well; at most %d such times may lie ahead.", most),
		DefaultStatus: http.StatusCreated, Security: httpx.Seller, Errors: []int{http.StatusConflict},
	}, func(ctx context.Context, in *addNotNowInput) (*notNowOutput, error) {
		n := NotNow{Until: in.Body.Until, Reason: in.Body.Reason}
		if in.Body.From != nil {
			n.From = *in.Body.From
		}
		n, err := s.Ask(ctx, own(ctx), n)
		return &notNowOutput{notNowOf(n)}, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "delete-not-now", Method: http.MethodDelete, Path: path + "/{id}", Summary: "Let your storefront change over at one of these times again",
		DefaultStatus: http.StatusNoContent, Security: httpx.Seller,
	}, func(ctx context.Context, in *notNowInput) (*struct{}, error) {
		return nil, s.Withdraw(ctx, own(ctx), in.ID)
	})
}

func operatorRoutes(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "list-blackouts", Method: http.MethodGet, Path: "/api/admin/blackouts", Summary: "List when sellers want no cutover, and why: what is not past, newest first",
		Security: httpx.Admin,
	}, func(ctx context.Context, in *blackoutsInput) (*blackoutsOutput, error) {
		found, err := s.List(ctx, backends.StorefrontID(in.Storefront), in.Cursor, in.Limit)
		out := &blackoutsOutput{}
		out.Body.Data = make([]blackoutBody, len(found))
		for i, l := range found {
			out.Body.Data[i] = blackoutBody{ID: l.ID, Storefront: string(l.Storefront), Slug: l.Slug, From: l.From.UnixMicro(), Until: l.Until.UnixMicro(), Reason: l.Reason}
		}
		if len(found) == in.Limit {
			out.Body.NextCursor = found[len(found)-1].ID
		}
		return out, err
	})
}
