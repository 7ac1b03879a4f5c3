package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// session is what a customer's client holds.
type session struct {
	Customer struct{ ID, Email string }
	Session  struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	Code    string
	Version int64
}

// ask sends a request of the storefront API and returns the status, the answer
// and its headers.
func (p *program) ask(t *testing.T, method, path, token string, body any, header ...string) (int, session, http.Header) {
	t.Helper()
	var s session
	status, h := p.askInto(t, &s, method, path, token, body, header...)
	return status, s, h
}

// askInto is ask for answers that are no session.
func (p *program) askInto(t *testing.T, out any, method, path, token string, body any, header ...string) (int, http.Header) {
	t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		require.NoError(t, err)
		in = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, p.url()+"/api/storefront/"+path, in)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := p.contract.client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent && response.StatusCode != http.StatusNotModified {
		require.NoError(t, json.NewDecoder(response.Body).Decode(out))
	}
	return response.StatusCode, response.Header
}

const email, password = "Ada@Example.com", "correct horse battery"

func credentials() map[string]any { return map[string]any{"email": email, "password": password} }

// TestCustomersNeverNoticeAMove: password, tokens and profile go on to work, there
// and back, and nothing is answered by an error while the move runs.
func TestCustomersNeverNoticeAMove(t *testing.T) {
	t.Parallel()
	p := install(t)
	status, s, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	require.Equal(t, http.StatusCreated, status, s.Code)
	stop, stopped := make(chan struct{}), sync.WaitGroup{}
	failures := make(chan int, 1)
	stopped.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			request, _ := http.NewRequest("GET", p.url()+"/api/storefront/demo/profile", nil)
			request.Header.Set("Authorization", "Bearer "+s.Session.Access)
			response, err := http.DefaultClient.Do(request)
			code := 0
			if err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				code = response.StatusCode
			}
			if code != http.StatusOK {
				failures <- code
				return
			}
		}
	})
	move := p.start(t, "files-2")
	p.waitFor(t, move, "watching")

	status, again, _ := p.ask(t, "POST", "demo/auth/login", "", credentials())
	require.Equal(t, http.StatusOK, status, again.Code)
	require.Equal(t, s.Customer.ID, again.Customer.ID)
	status, fresh, _ := p.ask(t, "POST", "demo/auth/refresh", "", map[string]any{"refresh_token": s.Session.Refresh})
	require.Equal(t, http.StatusOK, status, "a token from before the move: %s", fresh.Code)
	status, _, header := p.ask(t, "GET", "demo/profile", s.Session.Access, nil)
	require.Equal(t, http.StatusOK, status)
	profile := map[string]any{"first_name": "Ada", "last_name": "L", "phone": "", "locale": "en", "marketing": true}
	status, changed, _ := p.ask(t, "PUT", "demo/profile", s.Session.Access, profile, "If-Match", header.Get("ETag"))
	require.Equal(t, http.StatusOK, status)

	p.must(t, "move", "rollback", move)
	p.waitFor(t, move, "rolled_back")
	close(stop)
	stopped.Wait()
	require.Empty(t, failures)
	status, back, _ := p.ask(t, "GET", "demo/profile", s.Session.Access, nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, changed.Version, back.Version, "what was written at the new place came back")
	for range 2 { // repeated, without a body
		status, _, _ = p.ask(t, "POST", "demo/auth/logout", again.Session.Access, nil)
		require.Equal(t, http.StatusNoContent, status)
	}
	status, _, _ = p.ask(t, "GET", "demo/profile", again.Session.Access, nil)
	require.Equal(t, http.StatusUnauthorized, status)
}

// with is a body with one more member.
func with(body map[string]any, name string, value any) map[string]any {
	body = maps.Clone(body)
	body[name] = value
	return body
}

func TestCustomerErrors(t *testing.T) {
	t.Parallel()
	p := install(t)
	var demo struct{ ID string }
	require.Equal(t, http.StatusOK, p.admin(t, "GET", "storefronts/demo", nil, &demo))
	otherID := p.create(t, "other", "files-1")
	status, s, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	require.Equal(t, http.StatusCreated, status)
	access, refresh := s.Session.Access, s.Session.Refresh
	profile := map[string]any{"first_name": "A", "last_name": "L", "phone": "", "locale": "", "marketing": false}
	for _, c := range []struct {
		name, method, path, token string
		body                      any
		header                    []string
		status                    int
		code                      string
	}{
		{"unknown slug", "POST", "nobody/auth/login", "", credentials(), nil, 404, "storefront_not_found"},
		{"taken, whatever the case", "POST", "demo/auth/register", "", map[string]any{"email": "ada@EXAMPLE.com", "password": password}, nil, 409, "email_taken"},
		{"weak", "POST", "demo/auth/register", "", map[string]any{"email": "b@example.com", "password": "short"}, nil, 422, "invalid_input"},
		{"wrong password", "POST", "demo/auth/login", "", map[string]any{"email": email, "password": "wrong password"}, nil, 401, "invalid_credentials"},
		{"unknown account", "POST", "demo/auth/login", "", map[string]any{"email": "c@example.com", "password": password}, nil, 401, "invalid_credentials"},
		{"account of another storefront", "POST", "other/auth/login", "", credentials(), nil, 401, "invalid_credentials"},
		{"token of another storefront", "GET", "other/profile", access, nil, nil, 401, "invalid_token"},
		{"refresh at another storefront", "POST", "other/auth/refresh", "", map[string]any{"refresh_token": refresh}, nil, 401, "invalid_token"},
		{"two storefronts", "POST", "demo/auth/login", "", credentials(), []string{"X-Storefront", "other"}, 400, "tenant_conflict"},
		{"two storefronts, to read", "GET", "demo/profile", access, nil, []string{"X-Storefront", "other"}, 400, "tenant_conflict"},
		{"another one's id", "GET", "demo/profile", access, nil, []string{"X-Storefront", otherID}, 400, "tenant_conflict"},
		{"its own id", "GET", "demo/profile", "garbage", nil, []string{"X-Storefront", demo.ID}, 401, "invalid_token"},
		{"one storefront, named twice", "GET", "demo/profile", "garbage", nil, []string{"X-Storefront", "demo"}, 401, "invalid_token"},
		{"garbage token", "GET", "demo/profile", "garbage", nil, nil, 401, "invalid_token"},
		{"no token", "GET", "demo/profile", "", nil, nil, 401, "token_required"},
		{"no If-Match", "PUT", "demo/profile", access, profile, nil, 428, "if_match_required"},
		{"stale If-Match", "PUT", "demo/profile", access, profile, []string{"If-Match", `"v7"`}, 412, "changed_meanwhile"},
		{"read-only field", "PUT", "demo/profile", access, with(profile, "email", "x@example.com"), []string{"If-Match", `"v1"`}, 422, "read_only_field"},
		{"read-only field, and an unknown one", "PUT", "demo/profile", access, with(with(profile, "roles", "admin"), "role", "admin"), []string{"If-Match", `"v1"`}, 422, "invalid_input"},
		{"logout of nobody", "POST", "demo/auth/logout", "", map[string]any{}, nil, 401, "invalid_token"},
		{"logout of nobody, without a body", "POST", "demo/auth/logout", "", nil, nil, 401, "invalid_token"},
		{"logout from somewhere else", "POST", "demo/auth/logout", access, map[string]any{"scope": "everybody"}, nil, 422, "invalid_input"},
	} {
		status, answer, _ := p.ask(t, c.method, c.path, c.token, c.body, c.header...)
		require.Equal(t, c.status, status, c.name)
		require.Equal(t, c.code, answer.Code, c.name)
	}

	// The current version is not sent again, and a refused change tells it.
	status, _, header := p.ask(t, "GET", "demo/profile", access, nil, "If-None-Match", `"v1"`)
	require.Equal(t, http.StatusNotModified, status)
	require.Equal(t, `"v1"`, header.Get("ETag"))
	status, _, header = p.ask(t, "PUT", "demo/profile", access, profile, "If-Match", `"v7"`)
	require.Equal(t, http.StatusPreconditionFailed, status)
	require.Equal(t, `"v1"`, header.Get("ETag"))

	// A refresh token is good once; shortly after, a repeat converges on the same pair.
	status, first, _ := p.ask(t, "POST", "demo/auth/refresh", "", map[string]any{"refresh_token": refresh})
	require.Equal(t, http.StatusOK, status)
	status, repeat, _ := p.ask(t, "POST", "demo/auth/refresh", "", map[string]any{"refresh_token": refresh})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, first.Session.Refresh, repeat.Session.Refresh)
	status, _, _ = p.ask(t, "POST", "demo/auth/refresh", "", map[string]any{"refresh_token": first.Session.Refresh})
	require.Equal(t, http.StatusOK, status)
	status, _, _ = p.ask(t, "POST", "demo/auth/refresh", "", map[string]any{"refresh_token": refresh})
	require.Equal(t, http.StatusUnauthorized, status, "used long ago: the session ends")
	status, _, _ = p.ask(t, "GET", "demo/profile", access, nil)
	require.Equal(t, http.StatusUnauthorized, status)

	// Guessing slows down, for accounts that do not exist as well.
	guess := map[string]any{"email": "ghost@example.com", "password": "a guess a guess"}
	for range 6 {
		status, _, _ = p.ask(t, "POST", "demo/auth/login", "", guess)
		require.Equal(t, http.StatusUnauthorized, status)
	}
	status, _, header = p.ask(t, "POST", "demo/auth/login", "", guess)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.NotEmpty(t, header.Get("Retry-After"))
}

// TestRegisterAgain: who got no answer asks again, and is let in to the same account.
func TestRegisterAgain(t *testing.T) {
	t.Parallel()
	p := install(t)
	key := []string{"Idempotency-Key", "first-try"}
	status, first, _ := p.ask(t, "POST", "demo/auth/register", "", credentials(), key...)
	require.Equal(t, http.StatusCreated, status)
	status, again, _ := p.ask(t, "POST", "demo/auth/register", "", credentials(), key...)
	require.Equal(t, http.StatusCreated, status, again.Code)
	require.Equal(t, first.Customer.ID, again.Customer.ID)
	require.NotEqual(t, first.Session.Access, again.Session.Access, "tokens are not kept")
	for _, s := range []session{first, again} {
		status, _, _ = p.ask(t, "GET", "demo/profile", s.Session.Access, nil)
		require.Equal(t, http.StatusOK, status)
	}
	wrong := credentials()
	wrong["password"] = "another password"
	status, answer, _ := p.ask(t, "POST", "demo/auth/register", "", wrong, key...)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, "invalid_credentials", answer.Code)
	status, answer, _ = p.ask(t, "POST", "demo/auth/register", "", map[string]any{"email": "eve@example.com", "password": password}, key...)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, "idempotency_key_reused", answer.Code)
	status, answer, _ = p.ask(t, "POST", "demo/auth/register", "", credentials(), "Idempotency-Key", "another-key")
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "email_taken", answer.Code)
}
