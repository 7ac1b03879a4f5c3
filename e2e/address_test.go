package e2e

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

type address struct {
	ID      string
	City    string
	Default bool
	Version int64
	Code    string
	Errors  []struct{ Pointer, Parameter string }
}

type addressPage struct {
	Data       []address
	NextCursor string `json:"next_cursor"`
	Code       string
}

func place(city string) map[string]any {
	return map[string]any{"line1": "1 Main St", "city": city, "country": "DE"}
}

// addresses reads every page and checks that exactly one is the default.
func (p *program) addresses(t *testing.T, token string) (all []address) {
	t.Helper()
	for cursor := ""; ; {
		var page addressPage
		status, _ := p.askInto(t, &page, "GET", "demo/addresses?limit=7&cursor="+cursor, token, nil)
		require.Equal(t, http.StatusOK, status, page.Code)
		all = append(all, page.Data...)
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	defaults := 0
	for _, a := range all {
		if a.Default {
			defaults++
		}
	}
	require.Equal(t, min(1, len(all)), defaults)
	return all
}

// TestAddressesMoveWithTheirCustomer keeps addresses, within their limit also when
// many come at once, and finds them at the new place and back.
func TestAddressesMoveWithTheirCustomer(t *testing.T) {
	t.Parallel()
	p := install(t)
	status, s, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	require.Equal(t, http.StatusCreated, status)
	token := s.Session.Access

	var made, refused atomic.Int64
	var posts sync.WaitGroup
	for range 6 {
		posts.Go(func() {
			for range 10 {
				var a address
				switch status, _ := p.askInto(t, &a, "POST", "demo/addresses", token, place("Berlin")); {
				case status == http.StatusCreated:
					made.Add(1)
				case status == http.StatusConflict && a.Code == "limit_reached":
					refused.Add(1)
				}
			}
		})
	}
	posts.Wait()
	require.EqualValues(t, 50, made.Load())
	require.EqualValues(t, 10, refused.Load())
	before := p.addresses(t, token)
	require.Len(t, before, 50)

	move := p.start(t, "files-2")
	p.waitFor(t, move, "watching")
	require.Equal(t, before, p.addresses(t, token))

	// The default goes: the newest of the others becomes it.
	gone := before[0]
	for _, a := range before {
		if a.Default {
			gone = a
		}
	}
	status, _ = p.askInto(t, nil, "DELETE", "demo/addresses/"+gone.ID, token, nil)
	require.Equal(t, http.StatusNoContent, status)
	left := p.addresses(t, token)
	require.Len(t, left, 49)
	require.True(t, left[48].Default)

	p.must(t, "move", "rollback", move)
	p.waitFor(t, move, "rolled_back")
	require.Equal(t, left, p.addresses(t, token), "a deleted address does not come back")
}

func TestAddressErrors(t *testing.T) {
	t.Parallel()
	p := install(t)
	_, s, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	_, other, _ := p.ask(t, "POST", "demo/auth/register", "", map[string]any{"email": "eve@example.com", "password": password})
	token, foreign := s.Session.Access, other.Session.Access
	var a, second address
	status, header := p.askInto(t, &a, "POST", "demo/addresses", token, place("Berlin"))
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, `"v1"`, header.Get("ETag"))
	require.Equal(t, "/api/storefront/demo/addresses/"+a.ID, header.Get("Location"))
	require.True(t, a.Default, "the first one")
	_, _ = p.askInto(t, &second, "POST", "demo/addresses", token, place("Bonn"))
	require.False(t, second.Default)
	var page addressPage
	_, _ = p.askInto(t, &page, "GET", "demo/addresses?limit=1", token, nil)
	require.NotEmpty(t, page.NextCursor)

	with := func(key string, value any) map[string]any {
		m := place("Berlin")
		m[key] = value
		return m
	}
	current := []string{"If-Match", `"v1"`}
	for _, c := range []struct {
		name, method, path, token string
		body                      any
		header                    []string
		status                    int
		code, at                  string
	}{
		{"anonymous", "GET", "demo/addresses", "", nil, nil, 401, "token_required", ""},
		{"another customer's", "GET", "demo/addresses/" + a.ID, foreign, nil, nil, 404, "address_not_found", ""},
		{"deleting another customer's", "DELETE", "demo/addresses/" + a.ID, foreign, nil, nil, 404, "address_not_found", ""},
		{"writing another customer's", "PUT", "demo/addresses/" + a.ID, foreign, place("X"), current, 404, "address_not_found", ""},
		{"no id at all", "GET", "demo/addresses/nonsense", token, nil, nil, 404, "address_not_found", ""},
		{"another customer's cursor", "GET", "demo/addresses?cursor=" + page.NextCursor, foreign, nil, nil, 400, "invalid_cursor", ""},
		{"made-up cursor", "GET", "demo/addresses?cursor=abc", token, nil, nil, 400, "invalid_cursor", ""},
		{"limit of nothing", "GET", "demo/addresses?limit=0", token, nil, nil, 422, "invalid_input", ""},
		{"unknown country", "POST", "demo/addresses", token, with("country", "XQ"), nil, 422, "invalid_input", "/country"},
		{"small country", "POST", "demo/addresses", token, with("country", "de"), nil, 422, "invalid_input", "/country"},
		{"common name of a country", "POST", "demo/addresses", token, with("country", "UK"), nil, 422, "invalid_input", "/country"},
		{"control character", "POST", "demo/addresses", token, with("city", "a\nb"), nil, 422, "invalid_input", "/city"},
		{"blank city", "POST", "demo/addresses", token, with("city", "  "), nil, 422, "invalid_input", "/city"},
		{"no phone", "POST", "demo/addresses", token, with("phone", "12"), nil, 422, "invalid_input", "/phone"},
		{"another owner", "POST", "demo/addresses", token, with("customer_id", "x"), nil, 422, "invalid_input", "/customer_id"},
		{"no If-Match", "PUT", "demo/addresses/" + a.ID, token, place("X"), nil, 428, "if_match_required", ""},
		{"stale", "PUT", "demo/addresses/" + a.ID, token, place("X"), []string{"If-Match", `"v9"`}, 412, "changed_meanwhile", ""},
		{"another customer's as default", "POST", "demo/addresses/" + a.ID + "/default", foreign, nil, nil, 404, "address_not_found", ""},
		{"long key", "POST", "demo/addresses", token, place("X"), []string{"Idempotency-Key", strings.Repeat("k", 256)}, 422, "invalid_input", "Idempotency-Key"},
	} {
		var answer address
		status, _ := p.askInto(t, &answer, c.method, c.path, c.token, c.body, c.header...)
		require.Equal(t, c.status, status, c.name)
		require.Equal(t, c.code, answer.Code, c.name)
		if c.at != "" {
			require.Len(t, answer.Errors, 1, c.name)
			require.Equal(t, c.at, cmp.Or(answer.Errors[0].Pointer, answer.Errors[0].Parameter), c.name)
		}
	}
	require.Len(t, p.addresses(t, token), 2, "bad input changes nothing")
	status, header = p.askInto(t, &a, "PUT", "demo/addresses/"+a.ID, token, place("Köln"), current...)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "Köln", a.City)
	require.Equal(t, `"v2"`, header.Get("ETag"))
}

func TestDefaultAddress(t *testing.T) {
	t.Parallel()
	p := install(t)
	_, s, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	token := s.Session.Access
	var first, second address
	_, _ = p.askInto(t, &first, "POST", "demo/addresses", token, place("Berlin"))
	_, _ = p.askInto(t, &second, "POST", "demo/addresses", token, place("Bonn"))
	for range 2 { // repeating it changes nothing
		status, _ := p.askInto(t, nil, "POST", "demo/addresses/"+second.ID+"/default", token, nil)
		require.Equal(t, http.StatusNoContent, status)
	}
	all := p.addresses(t, token)
	require.Equal(t, []address{
		{ID: first.ID, City: "Berlin", Version: 2}, {ID: second.ID, City: "Bonn", Default: true, Version: 2},
	}, all)
	status, header := p.askInto(t, nil, "GET", "demo/addresses/"+second.ID, token, nil, "If-None-Match", `"v2"`)
	require.Equal(t, http.StatusNotModified, status)
	require.Equal(t, `"v2"`, header.Get("ETag"))
}

// TestAddAddressAgain: with a key a repeat makes nothing, until what it made is gone.
func TestAddAddressAgain(t *testing.T) {
	t.Parallel()
	p := install(t)
	_, s, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	token, key := s.Session.Access, []string{"Idempotency-Key", "k-1"}
	var first, again, other address
	status, _ := p.askInto(t, &first, "POST", "demo/addresses", token, place("Berlin"), key...)
	require.Equal(t, http.StatusCreated, status)
	status, header := p.askInto(t, &again, "POST", "demo/addresses", token, place("Berlin"), key...)
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, first, again)
	require.Equal(t, "/api/storefront/demo/addresses/"+first.ID, header.Get("Location"))
	require.Len(t, p.addresses(t, token), 1)
	status, _ = p.askInto(t, &other, "POST", "demo/addresses", token, place("Bonn"), key...)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, "idempotency_key_reused", other.Code)
	status, _ = p.askInto(t, nil, "DELETE", "demo/addresses/"+first.ID, token, nil)
	require.Equal(t, http.StatusNoContent, status)
	status, _ = p.askInto(t, &other, "POST", "demo/addresses", token, place("Berlin"), key...)
	require.Equal(t, http.StatusGone, status)
	require.Equal(t, "made_and_deleted", other.Code)
}
