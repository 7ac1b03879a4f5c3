package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// operation is one of the served document.
type operation struct {
	method, path string
	*openapi3.Operation
}

// operations are all that the program serves, in order.
func (p *program) operations(t *testing.T) (all []operation) {
	t.Helper()
	response, err := http.Get(p.url() + "/openapi.json")
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	document, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	for _, path := range document.Paths.InMatchingOrder() {
		for method, o := range document.Paths.Value(path).Operations() {
			all = append(all, operation{method, path, o})
		}
	}
	return all
}

func (o operation) at(slug string) string {
	return strings.NewReplacer("{slug}", slug, "{id}", "0190a5ee-0000-7000-8000-000000000000", "{ref}", slug, "{name}", "nowhere", "{handle}", "nothing").Replace(o.path)
}

// schema is what the JSON of its body must be like; nil when it takes none.
func (o operation) schema() *openapi3.Schema {
	if o.RequestBody == nil || o.RequestBody.Value.Content.Get("application/json") == nil {
		return nil
	}
	return o.RequestBody.Value.Content.Get("application/json").Schema.Value
}

// wrongType is a body with one field of the wrong type, and that field.
func wrongType(s *openapi3.Schema) (body, field string) {
	names := []string{}
	for name := range s.Properties {
		if !strings.HasPrefix(name, "$") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	field = names[0]
	value := `"seven"`
	if s.Properties[field].Value.Type.Includes("string") {
		value = `7`
	}
	return `{"` + field + `":` + value + `}`, "/" + field
}

type problem struct {
	Status             int
	Code, Detail, Type string
	Errors             []struct{ Pointer, Detail string }
}

// tokens let a request in, wherever it goes.
type tokens struct{ admin, seller, customer string }

func (p *program) tokens(t *testing.T) tokens {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, "data", "admin.token"))
	require.NoError(t, err)
	status, in, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	require.Equal(t, http.StatusCreated, status)
	return tokens{admin: strings.TrimSpace(string(text)), seller: p.seller(t, "seller@example.com", "demo"), customer: in.Session.Access}
}

// refused sends what must be refused and returns the problem.
func (p *program) refused(t *testing.T, who tokens, method, path, kind, body string) (found problem, header http.Header) {
	t.Helper()
	request, err := http.NewRequest(method, p.url()+path, strings.NewReader(body))
	require.NoError(t, err)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	request.Header.Set("If-Match", `"v1"`)
	request.Header.Set("Authorization", "Bearer "+who.customer)
	for prefix, token := range map[string]string{"/api/admin/": who.admin, "/api/seller/": who.seller} {
		if strings.HasPrefix(path, prefix) {
			request.Header.Set("Authorization", "Bearer "+token)
		}
	}
	response, err := p.contract.client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"), "%s %s: %d", method, path, response.StatusCode)
	require.NoError(t, json.NewDecoder(response.Body).Decode(&found))
	require.Equal(t, response.StatusCode, found.Status)
	return found, response.Header
}

// TestBadBodiesAreRefused asks every operation that takes a JSON document.
func TestBadBodiesAreRefused(t *testing.T) {
	t.Parallel()
	const form = "application/json"
	p := install(t)
	who := p.tokens(t)
	before := p.everything(t)
	asked := 0
	for _, o := range p.operations(t) {
		schema := o.schema()
		if schema == nil {
			continue
		}
		asked++
		wrong, field := wrongType(schema)
		most := 200 << 10
		if strings.HasPrefix(o.path, "/api/admin/plan") { // whole fleets
			most = 3 << 20
		}
		for _, c := range []struct {
			name, kind, body string
			status           int
			pointer          string
		}{
			{"malformed", form, `{"a":`, http.StatusBadRequest, ""},
			{"no document", form, ``, http.StatusBadRequest, ""}, // where one is needed
			{"a wrong type", form, wrong, http.StatusUnprocessableEntity, field},
			{"an unknown field", form, `{"surprise":1}`, http.StatusUnprocessableEntity, "/surprise"},
			{"too large", form, `{"surprise":"` + strings.Repeat("x", most) + `"}`, http.StatusRequestEntityTooLarge, ""},
			{"no content type", "", `{}`, http.StatusUnsupportedMediaType, ""},
			{"another content type", "text/plain", `{}`, http.StatusUnsupportedMediaType, ""},
		} {
			if c.body == "" && !o.RequestBody.Value.Required {
				continue
			}
			found, _ := p.refused(t, who, o.method, o.at("demo"), c.kind, c.body)
			name := o.method + " " + o.path + ", " + c.name
			require.Equal(t, c.status, found.Status, "%s: %+v", name, found)
			if c.pointer != "" {
				require.True(t, slices.ContainsFunc(found.Errors, func(e struct{ Pointer, Detail string }) bool { return e.Pointer == c.pointer }), "%s: %+v", name, found)
			}
		}
	}
	require.Greater(t, asked, 8)
	require.Equal(t, before, p.everything(t), "bad input changes nothing")
}

// everything is the digest of every storefront's tables.
func (p *program) everything(t *testing.T) map[string]map[string]string {
	t.Helper()
	var page struct{ Data []struct{ ID string } }
	require.Equal(t, http.StatusOK, p.admin(t, "GET", "storefronts?limit=100", nil, &page))
	require.NotEmpty(t, page.Data)
	found := map[string]map[string]string{}
	p.inspect(t, func(a *audit) {
		for _, s := range page.Data {
			found[s.ID] = a.digests(a.at(s.ID).Place)
		}
	})
	return found
}

// TestUnknownPlaces: storefronts, paths and methods that do not exist.
func TestUnknownPlaces(t *testing.T) {
	t.Parallel()
	p := install(t)
	who := p.tokens(t)
	bodies := map[string]string{
		"login": `{"email":"a@example.com","password":"correct horse battery"}`, "register": `{"email":"a@example.com","password":"correct horse battery"}`,
		"refresh": `{"refresh_token":"x"}`, "logout": `{}`, "addresses": `{"line1":"1 Main St","city":"Wien","country":"AT"}`,
		"{id}": `{"line1":"1 Main St","city":"Wien","country":"AT"}`, "profile": `{"first_name":"A","last_name":"B","phone":"","locale":"","marketing":false}`,
		"orders": `{"lines":[{"variant_id":"0190a5ee-0000-7000-8000-000000000000","quantity":1}]}`,
	}
	for _, o := range p.operations(t) {
		if !strings.Contains(o.path, "{slug}") {
			continue
		}
		body := ""
		if o.schema() != nil {
			last := o.path[strings.LastIndex(o.path, "/")+1:]
			require.NotEmpty(t, bodies[last], "this test has no body for %s", o.path)
			body = bodies[last]
		}
		for _, slug := range []string{"nobody", "No--body", strings.Repeat("a", 64)} {
			found, _ := p.refused(t, who, o.method, o.at(slug), "application/json", body)
			require.Equal(t, http.StatusNotFound, found.Status, "%s %s: %+v", o.method, o.path, found)
			require.Equal(t, "storefront_not_found", found.Code, "%s %s", o.method, o.path)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/nothing/here", 404, "not_found", ""},
		{"GET", "/api/storefront/demo/nothing", 404, "not_found", ""},
		{"POST", "/api/admin/nothing", 404, "not_found", ""},
		{"DELETE", "/api/storefront/demo/auth/login", 405, "method_not_allowed", "POST"},
		{"GET", "/api/storefront/demo/auth/login", 405, "method_not_allowed", "POST"},
		{"PATCH", "/api/admin/moves", 405, "method_not_allowed", "GET, HEAD"},
		{"GET", "/api/admin/storefronts/" + strings.Repeat("a", 64), 404, "storefront_not_found", ""},
		{"GET", "/api/admin/moves/" + strings.Repeat("a", 64), 404, "not_found", ""},
	} {
		found, header := p.refused(t, who, c.method, c.path, "application/json", "")
		require.Equal(t, c.status, found.Status, "%s %s: %+v", c.method, c.path, found)
		require.Equal(t, c.code, found.Code, "%s %s", c.method, c.path)
		require.Contains(t, header.Get("Allow"), c.allow, "%s %s", c.method, c.path)
		if c.allow != "" {
			require.NotEmpty(t, header.Get("Allow"))
		}
	}
}
