package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asked is the status and text of a request with a token.
func (p *program) asked(t *testing.T, method, path, token, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, p.url()+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := p.contract.client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

// seller makes a storefront's seller and logs in.
func (p *program) seller(t *testing.T, email, storefront string) (token string) {
	t.Helper()
	once := passwordIn(t, p.must(t, "admin", "create", email, "--role", "seller", "--storefront", storefront))
	status, a := p.askAdmin(t, "POST", "login", "", loginBody(t, email, once, "a long one of my own"))
	require.Equal(t, http.StatusOK, status, a.Code)
	return a.Access
}

var parameter = regexp.MustCompile(`\{[^}]+\}`)

// TestSellerReachesNothingElse goes through every operation that the server describes.
func TestSellerReachesNothingElse(t *testing.T) {
	t.Parallel()
	p := install(t)
	token := p.seller(t, "sally@example.com", "demo")
	admin := p.tokens(t).admin
	response, err := http.Get(p.url() + "/openapi.json")
	require.NoError(t, err)
	defer response.Body.Close()
	var document struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string
		}
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&document))
	counts := map[string]int{}
	for path, operations := range document.Paths {
		for method, op := range operations {
			for _, requirement := range op.Security {
				for scheme := range requirement {
					counts[scheme]++
					wanted, with := http.StatusForbidden, token
					switch scheme {
					case "customer":
						wanted = http.StatusUnauthorized
					case "seller":
						with = admin
					}
					real := strings.ReplaceAll(path, "{slug}", "demo")
					real = parameter.ReplaceAllString(real, "019a0000-0000-7000-8000-000000000000")
					status, said := p.asked(t, strings.ToUpper(method), real, with, "{}")
					require.Equal(t, wanted, status, "%s %s: %s", method, path, said)
				}
			}
		}
	}
	require.Greater(t, counts["admin"], 20)
	require.Greater(t, counts["customer"], 5)
	require.Equal(t, 5, counts["seller"])
}

// TestSellersView: their own moves with progress and receipt, nobody else's, and a "not
// now" that a cutover heeds; no name of a backend.
func TestSellersView(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.must(t, "storefront", "create", "toys", "files-1")
	sally, tom := p.seller(t, "sally@example.com", "demo"), p.seller(t, "tom@example.com", "toys")
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"admin", "create", "x@example.com", "--role", "seller"}, 65},
		{[]string{"admin", "create", "x@example.com", "--storefront", "demo"}, 65},
		{[]string{"admin", "create", "x@example.com", "--role", "seller", "--storefront", "nowhere"}, 66},
	} {
		out, code := p.command(t, c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, out)
	}

	const notNow = "/api/seller/not-now"
	for body, status := range map[string]int{
		`{"until":"2020-01-01T00:00:00Z"}`: 422, `{"until":"2999-01-01T00:00:00Z"}`: 422, `{"until":"soon"}`: 422, `{}`: 422,
	} {
		got, said := p.asked(t, "POST", notNow, sally, body)
		require.Equal(t, status, got, "%s: %s", body, said)
	}
	status, said := p.asked(t, "GET", notNow, sally, "")
	require.Equal(t, http.StatusOK, status, said)
	require.JSONEq(t, `{"data":[]}`, said)
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	status, said = p.asked(t, "POST", notNow, sally, `{"until":"`+until+`","reason":"sale"}`)
	require.Equal(t, http.StatusCreated, status, said)
	var asked struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(said), &asked))
	status, said = p.asked(t, "GET", notNow, sally, "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, said, until)
	status, said = p.asked(t, "GET", notNow, tom, "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"data":[]}`, said, "each storefront has its own")

	for of, lists := range map[string]bool{"": true, "demo": true, "toys": false} {
		args := []string{"storefront", "blackouts"}
		if of != "" {
			args = append(args, of)
		}
		require.Equal(t, lists, strings.Contains(p.must(t, args...), until+`  "sale"`), of)
	}

	move := p.start(t, "files-2")
	require.Eventually(t, func() bool {
		return strings.Contains(p.must(t, "move", "explain", move), "the seller asked for no move until "+until+`: "sale"`)
	}, patience, glance)
	status, said = p.asked(t, "GET", "/api/seller/moves/"+move, sally, "")
	require.Equal(t, http.StatusOK, status, said)
	require.Contains(t, said, `"state":"under_way"`)
	require.Contains(t, said, `"from":"sqlite"`)
	require.NotContains(t, said, "files-")
	status, _ = p.asked(t, "GET", "/api/seller/moves/"+move, tom, "")
	require.Equal(t, http.StatusNotFound, status)
	_, said = p.asked(t, "GET", "/api/seller/moves", tom, "")
	require.NotContains(t, said, move)

	status, _ = p.asked(t, "DELETE", notNow+"/"+asked.ID, sally, "")
	require.Equal(t, http.StatusNoContent, status)
	p.must(t, "move", "watch", move, "--until", "watching")
	p.must(t, "move", "finalize", move)
	p.must(t, "move", "watch", move)
	status, said = p.asked(t, "GET", "/api/seller/moves", sally, "")
	require.Equal(t, http.StatusOK, status)
	require.NotContains(t, said, "files-")
	var list struct {
		Data []struct {
			ID, State string
			Receipt   *struct{ Reference, Outcome string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(said), &list))
	require.Len(t, list.Data, 1)
	require.Equal(t, "done", list.Data[0].State)
	require.Equal(t, move, list.Data[0].Receipt.Reference)
	_, audit := p.asked(t, "GET", "/api/admin/audit", p.tokens(t).admin, "")
	require.Contains(t, audit, "add-not-now")
}
