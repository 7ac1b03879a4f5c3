package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"
)

// contract holds every answer against the document that the server serves: its
// status, its content type, its body. A request that succeeds must be one that the
// document allows. Paths that the document does not have must be answered by a
// problem.
type contract struct {
	t       testing.TB
	next    *http.Transport
	address string
	load    func() (routers.Router, error)
	held    sync.Map // digests of answers to GET that were found to be as described: who waits asks again and again
}

func newContract(t testing.TB, address string) *contract {
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.MaxIdleConnsPerHost = 32
	t.Cleanup(next.CloseIdleConnections)
	c := &contract{t: t, next: next, address: address}
	c.load = sync.OnceValues(c.document)
	return c
}

// client sends requests under the contract.
func (c *contract) client() *http.Client {
	return &http.Client{Transport: c, Timeout: 10 * time.Second}
}

// CloseIdleConnections is what a client's method of this name calls.
func (c *contract) CloseIdleConnections() { c.next.CloseIdleConnections() }

func (c *contract) document() (routers.Router, error) {
	response, err := http.Get("http://" + c.address + "/openapi.json")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return readContract(text)
}

func readContract(text []byte) (routers.Router, error) {
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if err := document.Validate(loader.Context); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(document)
}

func (c *contract) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := c.check(r, sent, response); err != nil {
		c.t.Errorf("%s %s, status %d: %v", r.Method, r.URL.Path, response.StatusCode, err)
	}
	return response, nil
}

func (c *contract) check(r *http.Request, sent []byte, response *http.Response) error {
	router, err := c.load()
	if err != nil {
		return fmt.Errorf("the document: %w", err)
	}
	kind := response.Header.Get("Content-Type")
	if response.StatusCode >= http.StatusBadRequest && kind != "application/problem+json" {
		return fmt.Errorf("an error of type %q", kind)
	}
	asked := r.Clone(r.Context())
	asked.Body = io.NopCloser(bytes.NewReader(sent))
	route, parameters, err := router.FindRoute(asked)
	if err != nil {
		if response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusMethodNotAllowed {
			return nil
		}
		return err
	}
	stream := strings.HasPrefix(kind, "text/event-stream")
	request := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
			IncludeResponseStatus: true, ExcludeResponseBody: stream, RejectWhenRequestBodyNotSpecified: true,
		},
	}
	if response.StatusCode < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(r.Context(), request); err != nil {
			return fmt.Errorf("accepted, although the document does not allow it: %w", err)
		}
	}
	if err := c.describes(route, response); err != nil || stream {
		return err
	}
	text, err := io.ReadAll(response.Body)
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), failing{err}), response.Body}
	if err != nil {
		return nil // the server was killed: not the contract's business
	}
	answer := digestOf(r, response, text)
	if _, known := c.held.Load(answer); known {
		return nil
	}
	err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: response.StatusCode, Header: response.Header,
		Body: io.NopCloser(bytes.NewReader(text)), Options: request.Options,
	})
	if err == nil && r.Method == http.MethodGet {
		c.held.Store(answer, true)
	}
	return err
}

// digestOf is of an answer and what it answers, without what is new each time.
func digestOf(r *http.Request, response *http.Response, text []byte) [sha256.Size]byte {
	header := response.Header.Clone()
	header.Del("Date")
	header.Del("X-Request-Id")
	return sha256.Sum256(fmt.Appendf(nil, "%s %s %d %q %s", r.Method, r.URL.Path, response.StatusCode, header, text)) // a map is printed in the order of its keys
}

// failing gives the error, if any, that a body ended with to who reads it.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// describes wants the status and the content type to be in the document: the
// validator lets an answer without described content pass.
func (c *contract) describes(route *routers.Route, response *http.Response) error {
	described := route.Operation.Responses.Status(response.StatusCode)
	if described == nil {
		return fmt.Errorf("the status is not described")
	}
	kind := response.Header.Get("Content-Type")
	if kind != "" && described.Value.Content.Get(kind) == nil {
		return fmt.Errorf("content of type %q is not described", kind)
	}
	if kind == "" && len(described.Value.Content) > 0 {
		return fmt.Errorf("the answer has no content, the document says that it has")
	}
	return nil
}

// TestContractNoticesLies shows the contract answers that its document does not have.
func TestContractNoticesLies(t *testing.T) {
	t.Parallel()
	router, err := readContract([]byte(`{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/things": {"post": {
		"requestBody": {"content": {"application/json": {"schema": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}},
		"responses": {
			"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}}}},
			"409": {"description": "no", "content": {"application/problem+json": {"schema": {"type": "object", "required": ["code"]}}}}
		}}}}}`))
	require.NoError(t, err)
	const good, text, problem = `{"name":"a"}`, "application/json", "application/problem+json"
	for _, c := range []struct {
		name, sent, path string
		status           int
		kind, body       string
		wrong            string
	}{
		{"as described", good, "/things", 200, text, `{"id":"x"}`, ""},
		{"a problem as described", good, "/things", 409, problem, `{"code":"x"}`, ""},
		{"an undescribed path", good, "/others", 404, problem, `{}`, ""},
		{"a status that is not described", good, "/things", 201, text, `{"id":"x"}`, "the status is not described"},
		{"a missing property", good, "/things", 200, text, `{}`, "id"},
		{"a wrong type", good, "/things", 200, text, `{"id":7}`, "string"},
		{"another content type", good, "/things", 200, "text/html", `<p>`, "is not described"},
		{"no content", good, "/things", 200, "", ``, "no content"},
		{"an error that is no problem document", good, "/things", 409, text, `{"code":"x"}`, "an error of type"},
		{"a problem that lacks its code", good, "/things", 409, problem, `{}`, "code"},
		{"bad input that is taken", `{"name":7}`, "/things", 200, text, `{"id":"x"}`, "does not allow it"},
		{"an undescribed path that answers", good, "/others", 200, text, `{}`, "no matching operation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := &contract{t: t, load: func() (routers.Router, error) { return router, nil }}
			r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1"+c.path, nil)
			require.NoError(t, err)
			r.Header.Set("Content-Type", text)
			response := &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body))}
			if c.kind != "" {
				response.Header.Set("Content-Type", c.kind)
			}
			err = k.check(r, []byte(c.sent), response)
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wrong)
		})
	}
}
