package httpx_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
	"smartseller/platform/httpx"
)

// Lamp is exported because huma fills embedded fields only then.
type Lamp struct {
	Room string `path:"room"`
}

type lampInput struct {
	Lamp
	Body struct {
		Name  string `json:"name" audit:"subject"`
		Watts int    `json:"watts,omitempty" audit:"detail"`
		Key   string `json:"key,omitempty"`
	}
}

// TestChangesOfAdminsAreWrittenDown before they are made, with what may be kept, and
// not made when they cannot be.
func TestChangesOfAdminsAreWrittenDown(t *testing.T) {
	t.Parallel()
	var written []httpx.Change
	var outcomes []string
	var broken error
	made := 0
	s := httpx.New(httpx.Options{Log: slog.New(slog.DiscardHandler)})
	s.Authenticate(httpx.AdminScheme, func(ctx context.Context, c httpx.Credentials) (context.Context, error) {
		if c.Changes && c.Token == "reader" {
			return nil, fault.New(fault.Forbidden, "insufficient_scope", "You may read only.")
		}
		return ctx, nil
	})
	s.Audit(func(_ context.Context, c httpx.Change) (func(context.Context, string) error, error) {
		written = append(written, c)
		return func(_ context.Context, outcome string) error {
			outcomes = append(outcomes, outcome)
			return nil
		}, broken
	})
	handle := func(_ context.Context, in *lampInput) (*struct{}, error) {
		made++
		if in.Body.Watts > 1000 {
			panic("blown")
		}
		if in.Body.Watts > 100 {
			return nil, fault.New(fault.Conflict, "too_bright", "Too bright.")
		}
		return nil, nil
	}
	read := func(context.Context, *Lamp) (*struct{}, error) { return nil, nil }
	httpx.Register(s, huma.Operation{OperationID: "hang-lamp", Method: http.MethodPost, Path: "/{room}/lamps", Security: httpx.Admin}, handle)
	httpx.Register(s, huma.Operation{OperationID: "open-lamp", Method: http.MethodPost, Path: "/{room}/open"}, handle)
	httpx.Register(s, huma.Operation{OperationID: "list-lamps", Method: http.MethodGet, Path: "/{room}/lamps", Security: httpx.Admin}, read)
	ask := func(method, path, token, body string) int {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w.Code
	}

	require.Equal(t, http.StatusNoContent, ask("POST", "/hall/lamps", "writer", `{"name":"north","watts":40,"key":"secret"}`))
	require.Equal(t, []httpx.Change{{Operation: "hang-lamp", Subject: "hall/north", Details: map[string]any{"watts": 40}, Address: "192.0.2.1"}}, written)
	require.Equal(t, http.StatusConflict, ask("POST", "/hall/lamps", "writer", `{"name":"north","watts":400}`))
	require.Equal(t, http.StatusInternalServerError, ask("POST", "/hall/lamps", "writer", `{"name":"north","watts":4000}`))
	require.Equal(t, []string{"done", "too_bright", "internal"}, outcomes)

	require.Equal(t, http.StatusForbidden, ask("POST", "/hall/lamps", "reader", `{"name":"north"}`))
	require.Equal(t, http.StatusNoContent, ask("GET", "/hall/lamps", "reader", ``))
	require.Equal(t, http.StatusUnprocessableEntity, ask("POST", "/hall/lamps", "writer", `{"name":1}`))
	require.Equal(t, http.StatusNoContent, ask("POST", "/hall/open", "", `{"name":"north"}`))
	require.Len(t, written, 3, "what was refused at the door, reads, and what is no admin's")

	before := made
	broken = errors.New("no space left")
	require.Equal(t, http.StatusInternalServerError, ask("POST", "/hall/lamps", "writer", `{"name":"north"}`))
	require.Equal(t, before, made)
}
