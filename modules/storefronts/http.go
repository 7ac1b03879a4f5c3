package storefronts

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/backends"
	"smartseller/platform/fault"
	"smartseller/platform/httpx"
)

type storefrontBody struct {
	ID        string `json:"id"`
	Slug      string `json:"slug"`
	Name      string `json:"name"`
	Currency  string `json:"currency"`
	TimeZone  string `json:"time_zone"`
	Status    string `json:"status"`
	Backend   string `json:"backend" doc:"The backend that holds its data now"`
	Epoch     int64  `json:"epoch" doc:"Grows by one at every change of placement"`
	CreatedAt int64  `json:"created_at" doc:"Microseconds UTC"`
}

func bodyOf(s Storefront) storefrontBody {
	return storefrontBody{
		ID: string(s.ID), Slug: s.Slug, Name: s.Name, Currency: s.Currency, TimeZone: s.TimeZone, Status: s.Status,
		Backend: s.Backend, Epoch: s.Epoch, CreatedAt: s.CreatedAt,
	}
}

type createStorefrontInput struct {
	Body struct {
		Slug     string `json:"slug" minLength:"3" maxLength:"63" audit:"subject"`
		Name     string `json:"name" minLength:"1" maxLength:"200"`
		Currency string `json:"currency,omitempty" default:"EUR" pattern:"^[A-Z]{3}$"`
		TimeZone string `json:"time_zone,omitempty" default:"UTC" maxLength:"64"`
		Backend  string `json:"backend" doc:"Name of a registered backend" audit:"detail"`
	}
}

type storefrontOutput struct{ Body storefrontBody }

type listStorefrontsInput struct {
	httpx.Page
}

type listStorefrontsOutput struct {
	Body struct {
		Data       []storefrontBody `json:"data"`
		NextCursor string           `json:"next_cursor,omitempty"`
	}
}

type refInput struct {
	Ref string `path:"ref" doc:"Id or slug"`
}

type whereInput struct {
	Ref string `path:"ref" doc:"Id or slug"`
	At  string `query:"at" format:"date-time" doc:"A time as in RFC 3339, not ahead of the control database's clock; none: now"`
}

// at is the time that is asked about; nil: none is given, which no time says of itself.
func (in *whereInput) at() (*time.Time, error) {
	if in.At == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339Nano, in.At)
	if err != nil {
		return nil, fault.InvalidParameter("at", "invalid_time", "must be a time as in RFC 3339, such as 2026-03-01T12:00:00Z").Because(err)
	}
	return &at, nil
}

type whereOutput struct {
	Body struct {
		Storefront string `json:"storefront_id"`
		Backend    string `json:"backend"`
		Made       int64  `json:"made_at_epoch" doc:"The epoch at which this place was made, a part of its address"`
		Epoch      int64  `json:"epoch" doc:"The placement's epoch at that time"`
		Since      int64  `json:"since" doc:"Microseconds UTC"`
		Until      *int64 `json:"until,omitempty" doc:"Microseconds UTC; none: it is there now"`
		Move       string `json:"move_id,omitempty" doc:"The move that brought it there; none: it was created there"`
	}
}

type addBackendInput struct {
	Body struct {
		Name     string `json:"name" audit:"subject"`
		Kind     kind   `json:"kind" audit:"detail"`
		DSN      string `json:"dsn,omitempty" doc:"Of the application's role, for a shared Postgres"`
		AdminDSN string `json:"admin_dsn,omitempty" doc:"Of the owner"`
		Pooled   bool   `json:"pooled,omitempty" doc:"The application's DSN leads through a transaction pooler such as PgBouncer"`
		Path     string `json:"path,omitempty" doc:"Folder of a SQLite backend"`
	}
}

// kind is one of all kinds.
type kind backends.Kind

// Schema implements huma.SchemaProvider.
func (kind) Schema(huma.Registry) *huma.Schema { return httpx.OneOf(backends.Kinds()) }

type capacityInput struct {
	Name string `path:"name" maxLength:"40"`
	Body struct {
		Bytes int64 `json:"bytes" minimum:"0" doc:"That all databases of the backend together may take; 0: whatever the disk holds" audit:"detail"`
	}
}

type roomOutput struct {
	Body struct {
		Capacity int64  `json:"capacity_bytes" doc:"What an operator set; 0: nothing"`
		Used     int64  `json:"used_bytes" doc:"Negative: unknown"`
		Free     int64  `json:"free_bytes" doc:"Negative: unknown"`
		How      string `json:"how" doc:"How that was found, or why it cannot be"`
	}
}

func roomOf(r backends.Room) *roomOutput {
	out := &roomOutput{}
	out.Body.Capacity, out.Body.Used, out.Body.Free, out.Body.How = r.Capacity, r.Used, r.Free, r.How
	return out
}

type nameInput struct {
	Name string `path:"name" maxLength:"40"`
}

type removeInput struct {
	Name    string `path:"name" maxLength:"40"`
	Abandon bool   `query:"abandon" doc:"Forget it though moves have left copies of storefronts there, which are to be erased when it can be reached again: it never comes back"`
}

type backendBody struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"`
	Storefronts int64  `json:"storefronts"`
}

type listBackendsOutput struct {
	Body struct {
		Data []backendBody `json:"data"`
	}
}

type checkOutput struct {
	Body struct {
		Findings []backends.Finding `json:"findings"`
	}
}

// Routes adds the admin operations on storefronts and backends.
func Routes(server *httpx.Server, s *Service) {
	server.Storefronts(func(ctx context.Context, slug string) (string, error) {
		found, err := s.Serving(ctx, slug)
		return string(found.ID), err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "create-storefront", Method: http.MethodPost, Path: "/api/admin/storefronts", Summary: "Create a storefront",
		DefaultStatus: http.StatusCreated, Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *createStorefrontInput) (*storefrontOutput, error) {
		b := in.Body
		made, err := s.Create(ctx, NewStorefront{Slug: b.Slug, Name: b.Name, Currency: b.Currency, TimeZone: b.TimeZone, Backend: b.Backend})
		return &storefrontOutput{bodyOf(made)}, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-storefronts", Method: http.MethodGet, Path: "/api/admin/storefronts", Summary: "List storefronts by slug", Security: httpx.Admin,
	}, func(ctx context.Context, in *listStorefrontsInput) (*listStorefrontsOutput, error) {
		found, err := s.List(ctx, in.Cursor, in.Limit)
		out := &listStorefrontsOutput{}
		out.Body.Data = make([]storefrontBody, len(found))
		for i, f := range found {
			out.Body.Data[i] = bodyOf(f)
		}
		if len(found) == in.Limit {
			out.Body.NextCursor = found[len(found)-1].Slug
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-storefront", Method: http.MethodGet, Path: "/api/admin/storefronts/{ref}", Summary: "Show one storefront",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *refInput) (*storefrontOutput, error) {
		found, err := s.Find(ctx, in.Ref)
		return &storefrontOutput{bodyOf(found)}, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "where-storefront", Method: http.MethodGet, Path: "/api/admin/storefronts/{ref}/where", Summary: "Say where a storefront was at a time",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *whereInput) (*whereOutput, error) {
		at, err := in.at()
		if err != nil {
			return nil, err
		}
		was, err := s.Was(ctx, in.Ref, at)
		out := &whereOutput{}
		b := &out.Body
		b.Storefront, b.Backend, b.Made, b.Epoch = string(was.Placement.Place.Storefront), was.Placement.Place.Backend, was.Placement.Place.Epoch, was.Placement.Epoch
		b.Since, b.Until, b.Move = was.Since, was.Until, was.Move
		return out, err
	})
	backendRoutes(server, s)
}

func backendRoutes(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "add-backend", Method: http.MethodPost, Path: "/api/admin/backends", Summary: "Register a backend",
		DefaultStatus: http.StatusNoContent, Security: httpx.Admin, Errors: []int{http.StatusConflict},
	}, func(ctx context.Context, in *addBackendInput) (*struct{}, error) {
		b := in.Body
		return nil, s.AddBackend(ctx, backends.Config{Name: b.Name, Kind: backends.Kind(b.Kind), DSN: b.DSN, AdminDSN: b.AdminDSN, Pooled: b.Pooled, Path: b.Path})
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-backends", Method: http.MethodGet, Path: "/api/admin/backends", Summary: "List backends", Security: httpx.Admin,
	}, func(ctx context.Context, _ *struct{}) (*listBackendsOutput, error) {
		found, err := s.Backends(ctx)
		out := &listBackendsOutput{}
		out.Body.Data = make([]backendBody, len(found))
		for i, b := range found {
			out.Body.Data[i] = backendBody{Name: b.Name, Kind: string(b.Kind), Storefronts: b.Storefronts}
		}
		return out, err
	})
	const capacity = "/api/admin/backends/{name}/capacity"
	httpx.Register(server, huma.Operation{
		OperationID: "get-backend-capacity", Method: http.MethodGet, Path: capacity, Summary: "Say how much room a backend has", Security: httpx.Admin,
		Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *nameInput) (*roomOutput, error) {
		room, err := s.Room(ctx, in.Name)
		return roomOf(room), err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "set-backend-capacity", Method: http.MethodPut, Path: capacity, Summary: "Say how much a Postgres backend may hold, where its disk cannot be seen",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *capacityInput) (*roomOutput, error) {
		if err := s.SetCapacity(ctx, in.Name, in.Body.Bytes); err != nil {
			return nil, err
		}
		room, err := s.Room(ctx, in.Name)
		return roomOf(room), err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "check-backend", Method: http.MethodGet, Path: "/api/admin/backends/{name}/check", Summary: "Inspect a backend",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *nameInput) (*checkOutput, error) {
		findings, err := s.CheckBackend(ctx, in.Name)
		out := &checkOutput{}
		out.Body.Findings = findings
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "remove-backend", Method: http.MethodDelete, Path: "/api/admin/backends/{name}", Summary: "Forget a backend that holds nothing",
		DefaultStatus: http.StatusNoContent, Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *removeInput) (*struct{}, error) {
		return nil, s.RemoveBackend(ctx, in.Name, in.Abandon)
	})
}
