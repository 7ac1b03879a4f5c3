package httpx_test

import (
	"context"
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

type thingOutput struct {
	httpx.Tagged
	Body struct {
		Name string `json:"name"`
	}
}

type readThing struct{ httpx.Revalidation }

type writeThing struct {
	httpx.Precondition
	Body struct {
		Name string `json:"name"`
	}
}

// newThing serves one thing, of version 7.
func newThing() *httpx.Server {
	s := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	stale := fault.New(fault.Precondition, "changed_meanwhile", "It was changed.")
	out := &thingOutput{Tagged: httpx.Tag(7)}
	httpx.Register(s, huma.Operation{OperationID: "get", Method: http.MethodGet, Path: "/thing"},
		func(context.Context, *readThing) (*thingOutput, error) { return out, nil })
	httpx.Register(s, huma.Operation{OperationID: "put", Method: http.MethodPut, Path: "/thing"},
		func(_ context.Context, in *writeThing) (*thingOutput, error) {
			version, err := in.Version()
			if err == nil && version != 7 {
				err = httpx.Refused(stale.Because(context.Canceled), 7)
			}
			return out, err
		})
	return s
}

func TestConditionalRequests(t *testing.T) {
	t.Parallel()
	s := newThing()
	for _, c := range []struct {
		method, header, value string
		status                int
	}{
		{"GET", "If-None-Match", ``, 200},
		{"GET", "If-None-Match", `"v6"`, 200},
		{"GET", "If-None-Match", `"v6", "v5"`, 200},
		{"GET", "If-None-Match", `v7`, 200},
		{"GET", "If-None-Match", `"v7"`, 304},
		{"GET", "If-None-Match", `W/"v7"`, 304},
		{"GET", "If-None-Match", `"v6" , "v7"`, 304},
		{"GET", "If-None-Match", `*`, 304},
		{"PUT", "If-Match", `"v7"`, 200},
		{"PUT", "If-Match", ``, 428},
		{"PUT", "If-Match", `*`, 428},
		{"PUT", "If-Match", `"v6"`, 412},
		{"PUT", "If-Match", `W/"v7"`, 412},
		{"PUT", "If-Match", `"v07"`, 412},
		{"PUT", "If-Match", `nonsense`, 412},
	} {
		r := httptest.NewRequest(c.method, "/thing", strings.NewReader(`{"name":"a"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(c.header, c.value)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		require.Equal(t, c.status, w.Code, "%s %s: %s", c.method, c.header, c.value)
		if c.status == 428 {
			require.Empty(t, w.Header().Get("ETag"))
		} else {
			require.Equal(t, `"v7"`, w.Header().Get("ETag"), "the current one, in refusals too")
		}
		require.Equal(t, c.status == 304, w.Body.Len() == 0)
	}
}
