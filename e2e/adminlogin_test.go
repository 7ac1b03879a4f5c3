package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// adminAnswer is what the admin API says in these tests.
type adminAnswer struct {
	Access string `json:"access_token"`
	Code   string
	Data   []struct {
		Actor, Email, Action, Subject, Outcome string
		Details                                map[string]any
	}
}

func (p *program) askAdmin(t *testing.T, method, path, token, body string) (int, adminAnswer) {
	t.Helper()
	request, err := http.NewRequest(method, p.url()+"/api/admin/"+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := p.contract.client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	var a adminAnswer
	if len(text) > 0 {
		require.NoError(t, json.Unmarshal(text, &a), "%s", text)
	}
	return response.StatusCode, a
}

var printedPassword = regexp.MustCompile(`one-time password:? ([A-Z0-9]+)`)

func passwordIn(t *testing.T, text string) string {
	t.Helper()
	found := printedPassword.FindStringSubmatch(text)
	require.Len(t, found, 2, text)
	return found[1]
}

func loginBody(t *testing.T, email, password, fresh string) string {
	t.Helper()
	text, err := json.Marshal(map[string]string{"email": email, "password": password, "new_password": fresh})
	require.NoError(t, err)
	return string(text)
}

func TestAdminsComeInAndAreRecorded(t *testing.T) {
	t.Parallel()
	const own = "a long one of her own"
	p := install(t)

	// The password of the first start, in the words of whoever has just read it.
	printed := passwordIn(t, p.said(t))
	status, a := p.askAdmin(t, "POST", "login", "", loginBody(t, "admin@example.com", printed, own))
	require.Equal(t, http.StatusOK, status, a.Code)
	first := a.Access
	status, _ = p.askAdmin(t, "GET", "storefronts", first, "")
	require.Equal(t, http.StatusOK, status)

	// An auditor, made while the server runs.
	once := passwordIn(t, p.must(t, "admin", "create", "olga@example.com", "--role", "auditor"))
	status, a = p.askAdmin(t, "POST", "login", "", loginBody(t, "olga@example.com", once, own))
	require.Equal(t, http.StatusOK, status, a.Code)
	auditor := a.Access
	customerStatus, customer, _ := p.ask(t, "POST", "demo/auth/register", "", credentials())
	require.Equal(t, http.StatusCreated, customerStatus)

	toys := `{"slug":"toys","name":"Toys","backend":"files-1"}`
	for _, c := range []struct {
		name, method, path, token, body string
		status                          int
		code                            string
	}{
		{"anonymous", "GET", "audit", "", "", 401, "token_required"},
		{"a customer", "GET", "audit", customer.Session.Access, "", 401, "invalid_token"},
		{"an auditor reads", "GET", "storefronts", auditor, "", 200, ""},
		{"an auditor changes nothing", "POST", "storefronts", auditor, toys, 403, "insufficient_scope"},
		{"an admin changes", "POST", "storefronts", first, toys, 201, ""},
		{"an admin fails", "POST", "storefronts", first, toys, 409, "slug_taken"},
		{"an admin's secrets", "POST", "backends", first, `{"name":"pg","kind":"dedicated-postgres","admin_dsn":"postgres://u:hunter2@127.0.0.1:1/db?sslmode=disable"}`, 422, "backend_unusable"},
		{"a used password", "POST", "login", "", loginBody(t, "admin@example.com", printed, own), 401, "invalid_credentials"},
		{"an unknown field", "POST", "login", "", `{"email":"a@example.com","password":"p","role":"platform-admin"}`, 422, "invalid_input"},
		{"no password", "POST", "login", "", `{"email":"a@example.com"}`, 422, "invalid_input"},
		{"a limit", "GET", "audit?limit=0", first, "", 422, "invalid_input"},
	} {
		status, a := p.askAdmin(t, c.method, c.path, c.token, c.body)
		require.Equal(t, c.status, status, "%s: %s", c.name, a.Code)
		require.Equal(t, c.code, a.Code, c.name)
	}

	status, a = p.askAdmin(t, "GET", "audit", auditor, "")
	require.Equal(t, http.StatusOK, status)
	var lines []string
	for _, r := range a.Data {
		require.NotContains(t, r.Details, "admin_dsn")
		who := r.Email
		if who == "" {
			who, _, _ = strings.Cut(r.Actor, " ")
		}
		lines = append(lines, strings.Join([]string{who, r.Action, r.Outcome}, " "))
	}
	require.Equal(t, []string{
		"admin@example.com add-backend backend_unusable",
		"admin@example.com create-storefront slug_taken",
		"admin@example.com create-storefront done",
		"olga@example.com change-password done",
		"operator create-admin done",
		"admin@example.com change-password done",
		"first reset-admin-password done",
		"first create-token done",
		"first create-admin done",
	}, lines)
	require.Equal(t, "toys", a.Data[2].Subject)
	require.Equal(t, map[string]any{"backend": "files-1"}, a.Data[2].Details)

	// The token in the file is what the commands use: it outlives the password.
	require.Contains(t, p.must(t, "storefront", "list"), "toys")
	p.must(t, "admin", "reset-password", "admin@example.com")
	status, a = p.askAdmin(t, "GET", "storefronts", first, "")
	require.Equal(t, http.StatusUnauthorized, status, "what was logged in is out")
	require.Equal(t, "invalid_token", a.Code)
	require.Contains(t, p.must(t, "storefront", "list"), "toys")
}

// TestAdminsAreMadeWithoutServer, before a first start, which then leaves them alone but
// for the token that commands find.
func TestAdminsAreMadeWithoutServer(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	for _, verb := range []string{"reset-password", "revoke-tokens"} {
		out, code := p.command(t, "admin", verb, "ada@example.com")
		require.Equal(t, 66, code, "%s", out)
		require.Contains(t, out, "There is no installation at "+filepath.Join(p.folder, "data"))
	}
	require.NoDirExists(t, filepath.Join(p.folder, "data"))
	made := p.must(t, "admin", "create", "ada@example.com")
	require.Contains(t, made, "a new installation was made at "+filepath.Join(p.folder, "data"))
	once := passwordIn(t, made)
	require.NotContains(t, p.must(t, "admin", "create", "bob@example.com"), "new installation")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"admin", "create", "ADA@example.com"}, 73, "already"},
		{[]string{"admin", "create", "no address"}, 65, "/email"},
		{[]string{"admin", "create", "b@example.com", "--role", "king"}, 64, "--role"},
		{[]string{"admin", "reset-password", "nobody@example.com"}, 66, "no admin with this e-mail address"},
		{[]string{"admin", "revoke-tokens", "nobody@example.com"}, 66, "no admin with this e-mail address"},
	} {
		out, code := p.command(t, c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, out)
		require.Contains(t, out, c.says, "%v", c.args)
	}
	p.serve(t)
	require.NotContains(t, p.said(t), "one-time password")
	require.Contains(t, p.said(t), "the token of ada@example.com in "+filepath.Join(p.folder, "data", "admin.token"))
	p.paste(t, printedMove.FindStringSubmatch(p.said(t))[1])
	status, a := p.askAdmin(t, "POST", "login", "", loginBody(t, "ada@example.com", once, "a long one of her own"))
	require.Equal(t, http.StatusOK, status, a.Code)
	status, _ = p.askAdmin(t, "GET", "storefronts/demo", a.Access, "")
	require.Equal(t, http.StatusOK, status)
}
