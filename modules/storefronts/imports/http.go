package imports

import (
	"context"
	"io"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"smartseller/platform/httpx"
	"smartseller/platform/identity"
)

type importBody struct {
	ID         string   `json:"id"`
	Storefront string   `json:"storefront_id"`
	Format     string   `json:"format"`
	State      State    `json:"state" enum:"receiving,checking,writing,completed,failed,interrupted"`
	Files      []File   `json:"files"`
	Failure    *Failure `json:"failure,omitempty" doc:"Why it failed or was interrupted, and what to do"`
	By         string   `json:"requested_by"`
	CreatedAt  int64    `json:"created_at" doc:"Microseconds UTC"`
	UpdatedAt  int64    `json:"updated_at" doc:"Microseconds UTC"`
	EndedAt    *int64   `json:"ended_at,omitempty" doc:"Microseconds UTC; none: it is under way"`
}

func bodyOf(i *Import) importBody {
	return importBody{
		ID: i.ID, Storefront: string(i.Storefront), Format: i.Format, State: i.State, Files: i.Files, Failure: i.Failure, By: i.RequestedBy,
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt, EndedAt: i.EndedAt,
	}
}

type beginInput struct {
	httpx.Upload
	Ref    string `path:"ref" doc:"Id or slug"`
	Format string `query:"format" enum:"shopify" default:"shopify"`
}

// files hands out the parts of the form.
func (in *beginInput) files() (Kind, string, io.Reader, error) {
	field, name, content, err := in.Next()
	return Kind(field), name, content, err
}

type beginOutput struct {
	Location string `header:"Location" doc:"Where its progress and report are"`
	Body     importBody
}

type importInput struct {
	Ref string `path:"ref" doc:"Id or slug"`
	ID  string `path:"id" maxLength:"36"`
}

type importOutput struct{ Body importBody }

type listInput struct {
	Ref string `path:"ref" doc:"Id or slug"`
	httpx.PageByID
}

type listOutput struct {
	Body struct {
		Data       []importBody `json:"data"`
		NextCursor string       `json:"next_cursor,omitempty"`
	}
}

type omissionBody struct {
	File    string `json:"file"`
	Line    int64  `json:"line" doc:"As a text editor counts"`
	Code    string `json:"code"`
	Skipped bool   `json:"skipped" doc:"The whole record was left out; otherwise a value of it"`
	Detail  string `json:"detail"`
}

type omissionsInput struct {
	Ref    string `path:"ref" doc:"Id or slug"`
	ID     string `path:"id" maxLength:"36"`
	Cursor int64  `query:"cursor" minimum:"0" doc:"next_cursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type omissionsOutput struct {
	Body struct {
		Data       []omissionBody `json:"data"`
		NextCursor string         `json:"next_cursor,omitempty"`
	}
}

const importsPath = "/api/admin/storefronts/{ref}/imports"

// Routes adds the admin operations on imports.
func Routes(server *httpx.Server, s *Service) {
	httpx.RegisterUpload(server, huma.Operation{
		OperationID: "begin-import", Method: http.MethodPost, Path: importsPath, Summary: "Import a shop's export",
		DefaultStatus: http.StatusAccepted, Security: httpx.Admin, Errors: []int{http.StatusNotFound, http.StatusConflict}, MaxBodyBytes: s.options.Limit,
	}, map[string]string{
		string(Customers): "A file of customers, as CSV", string(Products): "A file of products, as CSV", string(Orders): "A file of orders, as CSV",
	}, func(ctx context.Context, in *beginInput) (*beginOutput, error) {
		begun, err := s.Begin(ctx, in.Ref, in.Format, identity.Admin(ctx), in.files)
		if err != nil {
			return nil, err
		}
		return &beginOutput{Location: "/api/admin/storefronts/" + string(begun.Storefront) + "/imports/" + begun.ID, Body: bodyOf(begun)}, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-imports", Method: http.MethodGet, Path: importsPath, Summary: "List imports, newest first",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *listInput) (*listOutput, error) {
		found, err := s.List(ctx, in.Ref, in.Cursor, in.Limit)
		out := &listOutput{}
		out.Body.Data = make([]importBody, len(found))
		for n, i := range found {
			out.Body.Data[n] = bodyOf(i)
		}
		if len(found) == in.Limit {
			out.Body.NextCursor = found[len(found)-1].ID
		}
		return out, err
	})
	httpx.Register(server, huma.Operation{
		OperationID: "get-import", Method: http.MethodGet, Path: importsPath + "/{id}", Summary: "Show an import's progress and report, for 90 days at least",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *importInput) (*importOutput, error) {
		found, err := s.Get(ctx, in.Ref, in.ID)
		if err != nil {
			return nil, err
		}
		return &importOutput{bodyOf(found)}, nil
	})
	httpx.Register(server, huma.Operation{
		OperationID: "list-omissions", Method: http.MethodGet, Path: importsPath + "/{id}/omissions", Summary: "List what an import left out, by file and line: the first 10,000",
		Security: httpx.Admin, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *omissionsInput) (*omissionsOutput, error) {
		found, err := s.Omissions(ctx, in.Ref, in.ID, in.Cursor, in.Limit)
		out := &omissionsOutput{}
		out.Body.Data = make([]omissionBody, len(found))
		for n, o := range found {
			out.Body.Data[n] = omissionBody{File: o.File, Line: o.Line, Code: o.Code, Skipped: o.Skips(), Detail: o.Detail()}
		}
		if len(found) == in.Limit {
			out.Body.NextCursor = strconv.FormatInt(found[len(found)-1].Seq, 10)
		}
		return out, err
	})
}
