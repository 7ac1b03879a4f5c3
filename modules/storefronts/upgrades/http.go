package upgrades

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/backends"
	"smartseller/platform/httpx"
	"smartseller/platform/identity"
)

type listInput struct {
	Cursor string `query:"cursor" maxLength:"63" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
}

type refInput struct {
	Ref string `path:"ref" maxLength:"63" doc:"Id or slug"`
}

type schemaBody struct {
	Storefront string `json:"storefront_id"`
	Slug       string `json:"slug"`
	Backend    string `json:"backend"`
	State      string `json:"state" enum:"current,behind,newer,unknown,elsewhere" doc:"newer: made by a newer program; unknown: see problem; elsewhere: on another host, which problem names"`
	Version    int64  `json:"version" doc:"The newest migration up to which none is missing"`
	Newest     int64  `json:"newest" doc:"The newest migration of this program, for this kind of database"`
	Pending    int    `json:"pending" doc:"Migrations that are missing"`
	Problem    string `json:"problem,omitempty"`
	Upgrade    string `json:"upgrade,omitempty" enum:"waiting,done,failed,skipped" doc:"What the newest upgrade of all places made of this one; empty: it has not met it"`
	Cause      string `json:"upgrade_cause,omitempty" doc:"Why it failed then, or what it waits for"`
}

func schemaBodyOf(p PlaceSchema) schemaBody {
	return schemaBody{
		Storefront: string(p.Storefront.ID), Slug: p.Storefront.Slug, Backend: p.Storefront.Backend, State: string(p.State),
		Version: p.Schema.Version, Newest: p.Schema.Newest, Pending: p.Schema.Pending, Problem: p.Problem,
		Upgrade: string(p.Upgrade.State), Cause: p.Upgrade.Cause,
	}
}

type schemaOutput struct{ Body schemaBody }

type listSchemasOutput struct {
	Body struct {
		Data       []schemaBody `json:"data"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}
}

type runBody struct {
	ID     string               `json:"id"`
	State  string               `json:"state" enum:"running,completed,cancelled"`
	Joined bool                 `json:"joined,omitempty" doc:"It was under way already when it was asked for"`
	Places map[PlaceState]int64 `json:"places" doc:"How many are waiting, done, failed and skipped. All storefronts of a shared backend are in one place"`
	Wave   *int64               `json:"wave,omitempty" doc:"The first one with a place that waits"`
	By     string               `json:"requested_by"`
	Change int64                `json:"change" doc:"The last one; with it as Last-Event-ID its events tell only what comes behind"`
	Began  int64                `json:"created_at" doc:"Microseconds UTC"`
	Ended  *int64               `json:"ended_at,omitempty" doc:"Microseconds UTC"`
}

func runBodyOf(r *Run) runBody {
	b := runBody{ID: r.ID, State: string(r.State), Places: r.Places, By: r.RequestedBy, Change: r.Changes, Began: r.CreatedAt, Ended: r.EndedAt}
	if r.Wave >= 0 {
		b.Wave = &r.Wave
	}
	return b
}

type placeBody struct {
	Storefront string `json:"storefront_id,omitempty" doc:"Empty: the database that all storefronts of the backend share"`
	Slug       string `json:"slug,omitempty"`
	Backend    string `json:"backend" doc:"Where it was when the upgrade met it"`
	Holds      int64  `json:"storefronts" doc:"That are in it now"`
	Wave       int64  `json:"wave"`
	State      string `json:"state" enum:"waiting,done,failed,skipped"`
	Cause      string `json:"cause,omitempty" doc:"Why it failed, or what it waits for"`
	Before     int64  `json:"version_before" doc:"Of the schema; 0: not reached yet"`
	Version    int64  `json:"version"`
	At         int64  `json:"at" doc:"Of the last change, microseconds UTC"`
}

func placeBodyOf(p Place) placeBody {
	return placeBody{
		Storefront: string(p.Storefront), Slug: p.Slug, Backend: p.Backend, Holds: p.Holds, Wave: p.Wave, State: string(p.State), Cause: p.Cause,
		Before: p.Before, Version: p.Version, At: p.UpdatedAt,
	}
}

type startInput struct {
	Body struct {
		Failed bool `json:"failed_only,omitempty" doc:"Repeat in the newest upgrade, unless that was cancelled, what failed there, and nothing else" audit:"detail"`
	}
}

type runOutput struct{ Body runBody }

type runInput struct {
	ID string `path:"id" maxLength:"36"`
}

type runsOutput struct {
	Body struct {
		Data       []runBody `json:"data"`
		NextCursor string    `json:"next_cursor,omitempty"`
	}
}

type placesInput struct {
	ID     string `path:"id" maxLength:"36"`
	State  string `query:"state" enum:"waiting,done,failed,skipped" doc:"Only those in this state"`
	Cursor string `query:"cursor" maxLength:"80" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type placesOutput struct {
	Body struct {
		Data       []placeBody `json:"data"`
		NextCursor string      `json:"next_cursor,omitempty"`
	}
}

type eventsInput struct {
	httpx.StreamInput
	ID string `path:"id" maxLength:"36"`
}

const runsPath = "/api/admin/schema-upgrades"

// Routes adds the admin operations on schemas.
func Routes(server *httpx.Server, s *Service) {
	schemaRoutes(server, s)
	httpx.Register(server, huma.Operation{
		OperationID: "start-schema-upgrade", Method: http.MethodPost, Path: runsPath, Summary: "Upgrade the tenant schema of every place, or join who does",
		Description: "Places are upgraded in waves: those of single storefronts, then the databases that many share, one after the other, first the one that holds the fewest. One that fails stops no other, and can be repeated alone. One that is being moved waits, and so does one in a " +
			"file until an instance on its host takes part. It goes on whatever becomes of the client or of the instance: any other one carries it on. An " +
			"upgrade can be read about for 90 days after its end, the newest one for good.",
		DefaultStatus: http.StatusAccepted, Security: httpx.Admin, Errors: []int{http.StatusConflict},
	}, func(ctx context.Context, in *startInput) (*runOutput, error) {
		run, joined, err := s.Start(ctx, identity.Admin(ctx), in.Body.Failed)
		if err != nil {
			return nil, err
		}
		out := &runOutput{runBodyOf(run)}
		out.Body.Joined = joined
		return out, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-schema-upgrades", Method: http.MethodGet, Path: runsPath, Summary: "List upgrades of all places, newest first", Security: httpx.Admin,
	}, func(ctx context.Context, in *struct{ httpx.PageByID }) (*runsOutput, error) {
		runs, err := s.Runs(ctx, in.Cursor, in.Limit)
		out := &runsOutput{}
		out.Body.Data = make([]runBody, len(runs))
		for i, r := range runs {
			out.Body.Data[i] = runBodyOf(r)
		}
		if len(runs) == in.Limit {
			out.Body.NextCursor = runs[len(runs)-1].ID
		}
		return out, err
	})
	runRoutes(server, s)
}

func runRoutes(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "get-schema-upgrade", Method: http.MethodGet, Path: runsPath + "/{id}", Summary: "Show one upgrade of all places",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *runInput) (*runOutput, error) {
		run, err := s.Run(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &runOutput{runBodyOf(run)}, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-schema-upgrade-places", Method: http.MethodGet, Path: runsPath + "/{id}/places", Summary: "List the places of an upgrade",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *placesInput) (*placesOutput, error) {
		storefront, backend, _ := strings.Cut(in.Cursor, "/")
		places, err := s.Places(ctx, in.ID, PlaceState(in.State), Key{Storefront: backends.StorefrontID(storefront), Backend: backend}, in.Limit)
		out := &placesOutput{}
		out.Body.Data = make([]placeBody, len(places))
		for i, p := range places {
			out.Body.Data[i] = placeBodyOf(p)
		}
		if len(places) == in.Limit {
			last := places[len(places)-1]
			out.Body.NextCursor = string(last.Storefront) + "/" + last.Backend
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "schema-upgrade-events", Method: http.MethodGet, Path: runsPath + "/{id}/events", Summary: "Follow an upgrade, as Server-Sent Events",
		Description: "An event `place` for each place as it changed last, then each as it changes, and at the end `ended` with the upgrade. Ids grow; a stream " +
			"that breaks off goes on behind Last-Event-ID.",
		Responses: httpx.Streamed(), Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
		if _, err := s.Run(ctx, in.ID); err != nil {
			return nil, err
		}
		return server.Stream(in.StreamInput, func(ctx context.Context, after int64) ([]httpx.StreamEvent, bool, error) {
			return s.stream(ctx, in.ID, after)
		})
	})
	httpx.Register(server, huma.Operation{
		OperationID: "cancel-schema-upgrade", Method: http.MethodPost, Path: runsPath + "/{id}/cancel", Summary: "End an upgrade; what waits is skipped",
		Description: "What is being upgraded at this moment is finished, and counts as skipped until it is.",
		Security:    httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *runInput) (*runOutput, error) {
		run, err := s.Cancel(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &runOutput{runBodyOf(run)}, nil
	})
}

// stream is what happened to a run after a change, for those who follow it.
func (s *Service) stream(ctx context.Context, id string, after int64) (out []httpx.StreamEvent, last bool, err error) {
	const most = 100
	run, places, err := s.Changed(ctx, id, after, most)
	if err != nil {
		return nil, false, err
	}
	add := func(change int64, kind string, v any) {
		text, bad := json.Marshal(v)
		if err == nil {
			err = bad
		}
		out = append(out, httpx.StreamEvent{ID: change, Kind: kind, Data: string(text)})
	}
	for _, p := range places {
		add(p.Change, "place", placeBodyOf(p))
	}
	if run.State == Running || len(places) == most {
		return out, false, err
	}
	if run.Changes > after {
		add(run.Changes, "ended", runBodyOf(run))
	}
	return out, true, err
}

func schemaRoutes(server *httpx.Server, s *Service) {
	httpx.Register(server, huma.Operation{
		OperationID: "list-schemas", Method: http.MethodGet, Path: "/api/admin/schema", Summary: "Say how the tenant schema of each storefront's place is, by slug",
		Security: httpx.Admin,
	}, func(ctx context.Context, in *listInput) (*listSchemasOutput, error) {
		found, err := s.Schemas(ctx, in.Cursor, in.Limit)
		out := &listSchemasOutput{}
		out.Body.Data = make([]schemaBody, len(found))
		for i, f := range found {
			out.Body.Data[i] = schemaBodyOf(f)
		}
		if len(found) == in.Limit {
			out.Body.NextCursor = found[len(found)-1].Storefront.Slug
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-schema", Method: http.MethodGet, Path: "/api/admin/storefronts/{ref}/schema", Summary: "Say how the tenant schema of a storefront's place is",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *refInput) (*schemaOutput, error) {
		found, err := s.Schema(ctx, in.Ref)
		return &schemaOutput{schemaBodyOf(found)}, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "upgrade-schema", Method: http.MethodPost, Path: "/api/admin/storefronts/{ref}/schema/upgrade",
		Summary:     "Bring the tenant schema of a storefront's place, and of all that share it, up to date",
		Description: "It goes on when the client leaves; whoever asks again meanwhile waits for the same. Files are upgraded by an instance on their host.",
		Security:    httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *refInput) (*schemaOutput, error) {
		found, err := s.UpgradeSchema(ctx, in.Ref)
		return &schemaOutput{schemaBodyOf(found)}, err
	})
}
