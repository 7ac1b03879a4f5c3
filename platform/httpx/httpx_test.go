package httpx_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
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

type shelfInput struct{ httpx.Page }

type roomInput struct {
	Room string `path:"room" maxLength:"5"`
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
	httpx.Register(s, huma.Operation{OperationID: "bare", Method: http.MethodPost, Path: "/bare"}, func(context.Context, *struct{}) (*struct{}, error) {
		return nil, nil
	})
	httpx.Register(s, huma.Operation{OperationID: "room", Method: http.MethodGet, Path: "/rooms/{room}"}, func(context.Context, *roomInput) (*struct{}, error) {
		return nil, nil
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
		"works":              {"POST", "/echo", "application/json", `{"name":"a"}`, "", 200, "", ""},
		"no such path":       {"GET", "/nowhere", "", "", "", 404, "not_found", ""},
		"a name in the path": {"GET", "/rooms/attic", "", "", "", 204, "", ""},
		"an impossible one":  {"GET", "/rooms/cellar", "", "", "", 404, "not_found", ""},
		"a path with NUL":    {"GET", "/inner/%00", "", "", "right", 404, "not_found", ""},
		"wrong method":       {"DELETE", "/echo", "", "", "", 405, "method_not_allowed", ""},
		"malformed":          {"POST", "/echo", "application/json", `{"name":`, "", 400, "malformed", ""},
		"wrong type":         {"POST", "/echo", "application/json", `{"name":5}`, "", 422, "invalid_input", "/name"},
		"unknown field":      {"POST", "/echo", "application/json", `{"name":"a","hunter2":1}`, "", 422, "invalid_input", "/hunter2"},
		"missing field":      {"POST", "/echo", "application/json", `{}`, "", 422, "invalid_input", ""},
		"too long":           {"POST", "/echo", "application/json", `{"name":"abcdefghijkl"}`, "", 422, "invalid_input", "/name"},
		"too large":          {"POST", "/echo", "application/json", `{"name":"` + strings.Repeat("a", 300) + `"}`, "", 413, "too_large", ""},
		"content type":       {"POST", "/echo", "text/plain", `hello`, "", 415, "unsupported_media_type", ""},
		"repeated":           {"POST", "/echo", "application/json", `{"name":"a","n\u0061me":"b"}`, "", 422, "invalid_input", "/name"},
		"repeated below":     {"POST", "/echo", "application/json", `{"name":[1,{"a/b":1,"a/b":2}]}`, "", 422, "invalid_input", "/name/1/a~1b"},
		"NUL below":          {"POST", "/echo", "application/json", `{"name":["a",{"b":"c\u0000"}]}`, "", 422, "invalid_input", "/name/1/b"},
		"another case":       {"POST", "/echo", "application/json", `{"name":"a","Count":1}`, "", 422, "invalid_input", "/Count"},
		"not UTF-8":          {"POST", "/echo", "application/json", "{\"name\":\"\xff\"}", "", 400, "malformed", ""},
		"too deep":           {"POST", "/echo", "application/json", `{"name":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "", 400, "malformed", ""},
		"two values":         {"POST", "/echo", "application/json", `{"name":"a"}{}`, "", 400, "malformed", ""},
		"1.0":                {"POST", "/echo", "application/json", `{"name":"a","count":1.0}`, "", 422, "invalid_input", "/count"},
		"no type":            {"POST", "/echo", "", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"an empty type":      {"POST", "/echo", "; charset=utf-8", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"a broken type":      {"POST", "/echo", "application/json; charset", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"a suffix":           {"POST", "/echo", "x+application/json", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"with a charset":     {"POST", "/echo", "Application/JSON; charset=utf-8", `{"name":"a"}`, "", 200, "", ""},
		"another charset":    {"POST", "/echo", "application/json; charset=latin1", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"compressed":         {"POST", "/echo", "application/json", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"as it is":           {"POST", "/echo", "application/json", `{"name":"a"}`, "", 200, "", ""},
		"a form":             {"POST", "/echo", "multipart/form-data; boundary=x", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"no body at all":     {"POST", "/bare", "", "", "", 204, "", ""},
		"merge patch":        {"POST", "/echo", "application/merge-patch+json", `{"name":"a"}`, "", 415, "unsupported_media_type", ""},
		"our own":            {"POST", "/echo", "application/json", `{"name":"busy"}`, "", 503, "busy", ""},
		"internal":           {"POST", "/echo", "application/json", `{"name":"secret"}`, "", 500, "internal", ""},
		"panic":              {"POST", "/echo", "application/json", `{"name":"panic"}`, "", 500, "internal", ""},
		"no token":           {"GET", "/inner", "", "", "", 401, "token_required", ""},
		"a wrong token":      {"GET", "/inner", "", "", "wrong", 401, "invalid_token", ""},
		"a right token":      {"GET", "/inner", "", "", "right", 200, "", ""},
		"lower-case":         {"GET", "/inner", "", "", "right", 200, "", ""},
		"another scheme":     {"GET", "/inner", "", "", "right", 401, "token_required", ""},
		"the docs":           {"GET", "/docs", "", "", "", 200, "", ""},
		"the document":       {"GET", "/openapi.json", "", "", "", 200, "", ""},
		"openapi, wrong":     {"POST", "/openapi.json", "", "", "", 405, "method_not_allowed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			if c.token != "" {
				scheme := map[string]string{"lower-case": "bearer", "another scheme": "Basic"}[name]
				r.Header.Set("Authorization", cmp.Or(scheme, "Bearer")+" "+c.token)
			}
			if encoding := map[string]string{"compressed": "gzip", "as it is": "Identity"}[name]; encoding != "" {
				r.Header.Set("Content-Encoding", encoding)
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

// TestWhereAnInputIsWrong: a parameter by its name, a field of the body by a pointer.
func TestWhereAnInputIsWrong(t *testing.T) {
	t.Parallel()
	s := httpx.New(httpx.Options{Log: slog.New(slog.DiscardHandler)})
	type input struct {
		Limit int `query:"limit" maximum:"10"`
		Depth int `header:"Depth"`
		Body  struct {
			Lines []struct {
				Quantity int `json:"quantity"`
			} `json:"lines"`
		}
	}
	httpx.Register(s, huma.Operation{OperationID: "lines", Method: http.MethodPost, Path: "/lines"}, func(context.Context, *input) (*struct{}, error) {
		return nil, nil
	})
	for _, c := range []struct {
		query, depth, body string
		at                 []map[string]string
	}{
		{
			"limit=11", "infinity", `{"lines":[{"quantity":"a"},{}],"a/b~c":1}`,
			[]map[string]string{{"parameter": "limit"}, {"parameter": "Depth"}, {"pointer": "/lines/0/quantity"}, {"pointer": "/lines/1/quantity"}, {"pointer": "/a~1b~0c"}},
		},
		{"limit=1", "1", `{"lines":[ {"quantity":1},{"quantity": 1e2 } ]}`, []map[string]string{{"pointer": "/lines/1/quantity"}}},
	} {
		r := httptest.NewRequest(http.MethodPost, "/lines?"+c.query, strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Depth", c.depth)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		require.Equal(t, http.StatusUnprocessableEntity, w.Code, w.Body)
		var p struct{ Errors []map[string]string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
		var at []map[string]string
		for _, e := range p.Errors {
			require.NotEmpty(t, e["code"])
			require.NotEmpty(t, e["detail"])
			delete(e, "code")
			delete(e, "detail")
			at = append(at, e)
		}
		require.ElementsMatch(t, c.at, at)
	}
}

// TestHead: as GET, without the body, and not described a second time.
func TestHead(t *testing.T) {
	t.Parallel()
	s := newServer()
	httpx.Register(s, huma.Operation{OperationID: "endless", Method: http.MethodGet, Path: "/endless"}, func(_ context.Context, in *httpx.StreamInput) (*huma.StreamResponse, error) {
		return s.Stream(*in, func(context.Context, int64) ([]httpx.StreamEvent, bool, error) { return nil, false, nil })
	})
	served := httptest.NewServer(s.Handler())
	t.Cleanup(served.Close)
	ask := func(method, path, token string) *http.Response {
		r, err := http.NewRequest(method, served.URL+path, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := served.Client().Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, response.Body.Close()) })
		return response
	}
	for _, c := range []struct {
		path, token, kind string
		status            int
	}{
		{"/inner", "right", "application/json", 200},
		{"/inner", "wrong", "application/problem+json", 401},
		{"/nowhere", "", "application/problem+json", 404},
		{"/echo", "", "application/problem+json", 405},
		{"/docs", "", "text/html; charset=UTF-8", 200},
		{"/openapi.json", "", "application/openapi+json", 200},
		{"/endless", "", "text/event-stream", 200},
	} {
		response := ask(http.MethodHead, c.path, c.token)
		require.Equal(t, c.status, response.StatusCode, c.path)
		require.Equal(t, c.kind, response.Header.Get("Content-Type"), c.path)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Empty(t, body, c.path)
	}
	require.Equal(t, "OPTIONS, GET, HEAD", ask(http.MethodDelete, "/inner", "").Header.Get("Allow"))
	require.Equal(t, "OPTIONS, POST", ask(http.MethodHead, "/echo", "").Header.Get("Allow"))
	var document struct {
		Paths map[string]map[string]struct{}
	}
	require.NoError(t, json.NewDecoder(ask(http.MethodGet, "/openapi.json", "").Body).Decode(&document))
	require.Contains(t, document.Paths["/inner"], "get")
	require.NotContains(t, document.Paths["/inner"], "head")
}

// TestPage: what a list's input asks for when nothing is said, and what it may.
func TestPage(t *testing.T) {
	t.Parallel()
	s := httpx.New(httpx.Options{Log: slog.New(slog.DiscardHandler)})
	var asked httpx.Page
	httpx.Register(s, huma.Operation{OperationID: "shelf", Method: http.MethodGet, Path: "/shelf"}, func(_ context.Context, in *shelfInput) (*struct{}, error) {
		asked = in.Page
		return nil, nil
	})
	for query, want := range map[string]httpx.Page{"": {Limit: 20}, "?cursor=x&limit=100": {Cursor: "x", Limit: 100}, "?limit=0": {}, "?limit=101": {}, "?cursor=" + strings.Repeat("x", 301): {}} {
		asked = httpx.Page{}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/shelf"+query, nil))
		require.Equal(t, want, asked, query)
		require.Equal(t, want.Limit == 0, w.Code == http.StatusUnprocessableEntity, "%s: %s", query, w.Body)
	}
}

// TestClientBehindProxies: an address is believed when a trusted proxy says it, and what
// a client says of itself never.
func TestClientBehindProxies(t *testing.T) {
	t.Parallel()
	const proxy, stranger = "10.1.2.3", "192.0.2.7"
	for name, c := range map[string]struct {
		proxies   []netip.Prefix
		from      string
		forwarded string
		want      string
	}{
		"nobody is trusted":      {nil, proxy, "198.51.100.1", proxy},
		"a trusted proxy":        {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, proxy, "198.51.100.1", "198.51.100.1"},
		"another's":              {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, stranger, "198.51.100.1", stranger},
		"what the client said":   {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, proxy, "203.0.113.9, 198.51.100.1", "198.51.100.1"},
		"two proxies":            {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, proxy, "198.51.100.1, 10.9.9.9", "198.51.100.1"},
		"one on this machine":    {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "127.0.0.1", "198.51.100.1", "127.0.0.1"},
		"a proxy that says none": {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, proxy, "", proxy},
	} {
		s := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.DiscardHandler), Proxies: c.proxies})
		var met string
		httpx.Register(s, huma.Operation{OperationID: "peer", Method: http.MethodGet, Path: "/peer"}, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			met = httpx.Peer(ctx)
			return nil, nil
		})
		request := httptest.NewRequest(http.MethodGet, "/peer", nil)
		request.RemoteAddr = c.from + ":4711"
		if c.forwarded != "" {
			request.Header.Set("X-Forwarded-For", c.forwarded)
		}
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, request)
		require.Equal(t, c.want, met, name)
		require.Equal(t, "Authorization, Origin, X-Storefront", answer.Header().Get("Vary"))
		require.NotEmpty(t, answer.Header().Get("Strict-Transport-Security"))
	}
}
