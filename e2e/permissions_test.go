package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// readersMayPost are the admin operations that change nothing, though they take a body.
var readersMayPost = []string{"propose-moves", "simulate-plan", "check-receipt"}

// TestPermissions asks for every operation that needs somebody, as everybody: the
// document says who that is, and nobody else comes as far as the operation.
func TestPermissions(t *testing.T) {
	t.Parallel()
	const password = "a long one of her own"
	p := install(t)
	login := func(email, printed string) string {
		status, a := p.askAdmin(t, "POST", "login", "", loginBody(t, email, passwordIn(t, printed), password))
		require.Equal(t, http.StatusOK, status, a.Code)
		return a.Access
	}
	status, customer, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	require.Equal(t, http.StatusCreated, status)
	tokens := map[string]string{
		"nobody": "", "customer": customer.Session.Access, "admin": login("admin@example.com", p.said(t)),
		"auditor": login("olga@example.com", p.must(t, "admin", "create", "olga@example.com", "--role", "auditor")),
		"seller":  login("sally@example.com", p.must(t, "admin", "create", "sally@example.com", "--role", "seller", "--storefront", "demo")),
	}
	seen := map[string]int{}
	for _, o := range p.operations(t) {
		if o.Security == nil || len(*o.Security) == 0 {
			continue
		}
		allowed := map[string]bool{}
		for _, requirement := range *o.Security {
			switch {
			case requirement["customer"] != nil:
				allowed["customer"] = true
			case requirement["seller"] != nil:
				allowed["seller"] = true
			default:
				require.Contains(t, requirement, "admin", o.OperationID)
				read := o.method == http.MethodGet || o.method == http.MethodHead
				for _, id := range readersMayPost {
					read = read || o.OperationID == id
				}
				want := "change"
				if read {
					want = "read"
				}
				require.Equal(t, []string{want}, requirement["admin"], o.OperationID)
				allowed["admin"], allowed["auditor"] = true, read
			}
		}
		for who, token := range tokens {
			if (who == "admin" || who == "customer") && allowed[who] {
				continue // it would happen; other tests do that
			}
			request, err := http.NewRequest(o.method, p.url()+o.at("demo"), nil)
			require.NoError(t, err)
			if token != "" {
				request.Header.Set("Authorization", "Bearer "+token)
			}
			response, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			refused := response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden
			if !allowed[who] {
				require.True(t, refused, "%s may not %s: %d", who, o.OperationID, response.StatusCode)
				if who == "auditor" && allowed["admin"] {
					require.Equal(t, http.StatusForbidden, response.StatusCode, o.OperationID)
				}
			} else {
				require.False(t, refused, "%s may %s: %d", who, o.OperationID, response.StatusCode)
			}
			seen[who]++
		}
	}
	require.Greater(t, seen["auditor"], 50)
}
