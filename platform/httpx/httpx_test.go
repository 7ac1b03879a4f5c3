package httpx_test

import (
	"cmp"
	"context"
	"encoding/json"
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

type echoInput struct {
	Body struct {
		Name  string `json:"name" maxLength:"10"`
		Count int64  `json:"count,omitempty"`
	}
}

type echoOutput struct {
	Body struct {
		Name string `json:"name"`
	}
}

func newServer() *httpx.Server {
	s := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.DiscardHandler), BodyLimit: 200})
	httpx.Register(s, huma.Operation{OperationID: "echo", Method: http.MethodPost, Path: "/echo"}, func(_ context.Context, in *echoInput) (*echoOutput, error) {
		switch in.Body.Name {
		case "secret":
			return nil, context.Canceled
		case "panic":
			panic("boom")
		case "busy":
			return nil, fault.New(fault.Unavailable, "busy", "Busy.").Retry(3)
		}
		out := &echoOutput{}
		out.Body.Name = in.Body.Name
		return out, nil
	})
	httpx.Register(s, huma.Operation{OperationID: "inner", Method: http.MethodGet, Path: "/inner", Security: httpx.Admin}, func(context.Context, *struct{}) (*echoOutput, error) {
		return &echoOutput{}, nil
	})
	s.Authenticate(httpx.AdminScheme, func(ctx context.Context, c httpx.Credentials) (context.Context, error) {
		if c.Token != "right" {
			return nil, fault.New(fault.Unauthorized, "invalid_token", "The token is not valid.")
		}
		return ctx, nil
	})
	return s
}

func TestEveryErrorIsAProblem(t *testing.T) {
	t.Parallel()
	s := newServer()
	for name, c := range map[string]struct {
		method, path, contentType, body, token string
		status                                 int
		code, pointer                          string
	}{
		"works":           {"POST", "/echo", "application/json", `{"name":"a"}`, "", 200, "", ""},
		"no such path":    {"GET", "/nowhere", "", "", "", 404, "not_found", ""},
		"a path with NUL": {"GET", "/inner/%00", "", "", "right", 404, "not_found", ""},
		"wrong method":    {"DELETE", "/echo", "", "", "", 405, "method_not_allowed", ""},
		"malformed":       {"POST", "/echo", "application/json", `{"name":`, "", 400, "malformed", ""},
		"wrong type":      {"POST", "/echo", "application/json", `{"name":5}`, "", 422, "invalid_input", "/name"},
		"unknown field":   {"POST", "/echo", "application/json", `{"name":"a","hunter2":1}`, "", 422, "invalid_input", "/hunter2"},
		"missing field":   {"POST", "/echo", "application/json", `{}`, "", 422, "invalid_input", ""},
		"too long":        {"POST", "/echo", "application/json", `{"name":"abcdefghijkl"}`, "", 422, "invalid_input", "/name"},
		"too large":       {"POST", "/echo", "application/json", `{"name":"` + strings.Repeat("a", 300) + `"}`, "", 413, "too_large", ""},
		"content type":    {"POST", "/echo", "text/plain", `hello`, "", 415, "unsupported_media_type", ""},
		"repeated":        {"POST", "/echo", "application/json", `{"name":"a","n\u0061me":"b"}`, "", 422, "invalid_input", "/name"},
		"repeated below":  {"POST", "/echo", "application/json", `{"name":[1,{"a/b":1,"a/b":2}]}`, "", 422, "invalid_input", "/name/1/a~1b"},
		"another case":    {"POST", "/echo", "application/json", `{"name":"a","Count":1}`, "", 422, "invalid_input", "/Count"},
		"not UTF-8":       {"POST", "/echo", "application/json", "{\"name\":\"\xff\"}", "", 400, "malformed", ""},
		"too deep":        {"POST", "/echo", "application/json", `{"name":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "", 400, "malformed", ""},
		"two values":      {"POST", "/echo", "application/json", `{"name":"a"}{}`, "", 400, "malformed", ""},
		"1.0":             {"POST", "/echo", "application/json", `{"name":"a","count":1.0}`, "", 422, "invalid_input", ""},
		"merge patch":     {"POST", "/echo", "application/merge-patch+json", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"our own":         {"POST", "/echo", "application/json", `{"name":"busy"}`, "", 503, "busy", ""},
		"internal":        {"POST", "/echo", "application/json", `{"name":"secret"}`, "", 500, "internal", ""},
		"panic":           {"POST", "/echo", "application/json", `{"name":"panic"}`, "", 500, "internal", ""},
		"no token":        {"GET", "/inner", "", "", "", 401, "token_required", ""},
		"a wrong token":   {"GET", "/inner", "", "", "wrong", 401, "invalid_token", ""},
		"a right token":   {"GET", "/inner", "", "", "right", 200, "", ""},
		"lower-case":      {"GET", "/inner", "", "", "right", 200, "", ""},
		"another scheme":  {"GET", "/inner", "", "", "right", 401, "token_required", ""},
		"the docs":        {"GET", "/docs", "", "", "", 200, "", ""},
		"the document":    {"GET", "/openapi.json", "", "", "", 200, "", ""},
		"openapi, wrong":  {"POST", "/openapi.json", "", "", "", 405, "method_not_allowed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			if c.token != "" {
				scheme := map[string]string{"lower-case": "bearer", "another scheme": "Basic"}[name]
				r.Header.Set("Authorization", cmp.Or(scheme, "Bearer")+" "+c.token)
			}
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code, w.Body)
			require.NotEmpty(t, w.Header().Get("X-Request-Id"))
			if c.status < 400 {
				return
			}
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			var p httpx.Problem
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
			require.Equal(t, c.code, p.Code, w.Body)
			require.Equal(t, c.status, p.Status)
			require.Equal(t, "urn:request:"+w.Header().Get("X-Request-Id"), p.Instance)
			require.NotContains(t, w.Body.String(), "abcdefghijkl", "what was submitted is not repeated")
			require.NotContains(t, w.Body.String(), "Go ", "nor is the program's inside told")
			if c.pointer != "" {
				require.Len(t, p.Errors, 1)
				require.Equal(t, c.pointer, p.Errors[0].Pointer)
			}
			if c.status == 405 {
				require.NotEmpty(t, w.Header().Get("Allow"))
			}
			if c.code == "busy" {
				require.Equal(t, "3", w.Header().Get("Retry-After"))
			}
		})
	}
}
