package e2e

import (
	"database/sql"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// TestDoctor: well is 0, anything else is not, and each finding says what to do.
func TestDoctor(t *testing.T) {
	t.Parallel()
	p := install(t)
	out := p.must(t, "doctor")
	for _, told := range []string{"control database\n", "backend files-1\n", "ok       disk space: ", "ok       schema: current at all 1 places"} {
		require.Contains(t, out, told)
	}
	require.NotContains(t, out, "to do")

	owner := pgtest.Database(t)
	dsn := pgtest.Role(t, owner, "")
	p.must(t, "backend", "add", "shared", "shared-postgres", "--admin-dsn", owner, "--dsn", dsn)
	p.must(t, "storefront", "create", "toys", "shared")
	out, code := p.command(t, "doctor")
	require.Equal(t, 73, code, out)
	require.Contains(t, out, "warning  durability: acknowledged writes can be lost in a crash", "the server of the tests is a throwaway one")
	require.Contains(t, out, "to do: set them to on")
	require.Contains(t, out, "ok       rows of other storefronts: ")
	require.NotContains(t, out, "PROBLEM")

	server, err := sql.Open("postgres", owner)
	require.NoError(t, err)
	defer server.Close()
	role, err := url.Parse(dsn)
	require.NoError(t, err)
	_, err = server.Exec("ALTER ROLE " + pq.QuoteIdentifier(role.User.Username()) + " BYPASSRLS")
	require.NoError(t, err)
	var found struct {
		Well     bool
		Subjects []struct {
			Subject  string
			Findings []struct {
				Check, Problem, Fix string
				Warning             bool
			}
		}
	}
	require.NotContains(t, p.must(t, "backend", "check", "files-1"), "PROBLEM")
	out, code = p.command(t, "backend", "check", "shared")
	require.Equal(t, 73, code, out)
	require.Contains(t, out, "PROBLEM  row-level security")
	out, code = p.command(t, "doctor", "--json")
	require.Equal(t, 73, code)
	require.NoError(t, json.NewDecoder(strings.NewReader(out)).Decode(&found))
	require.False(t, found.Well)
	problems := map[string]string{}
	for _, f := range found.Subjects[3].Findings {
		if f.Problem != "" && !f.Warning {
			problems[f.Check] = f.Problem
			require.NotEmpty(t, f.Fix)
		}
	}
	require.Contains(t, problems["row-level security"], "BYPASSRLS")
	require.Contains(t, problems["rows of other storefronts"], "fence")

	require.NoError(t, os.RemoveAll(filepath.Join(p.folder, "data", "files-2")))
	require.NoError(t, os.WriteFile(filepath.Join(p.folder, "data", "files-2"), nil, 0o600))
	out, _ = p.command(t, "doctor")
	require.Contains(t, out, "PROBLEM  folder: ")
}

// TestBackendThatCannotBeUsedIsNotRegistered: roles and reach are looked at before.
func TestBackendThatCannotBeUsedIsNotRegistered(t *testing.T) {
	t.Parallel()
	p := install(t)
	owner := pgtest.Database(t)
	good := pgtest.Role(t, owner, "")
	nowhere := "postgres://app:topsecret@127.0.0.1:1/shop?sslmode=disable"
	unknown, err := url.Parse(owner)
	require.NoError(t, err)
	unknown.User = url.UserPassword("nobody", "topsecret")
	stranger := unknown.String()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(good), 0o600))
	for _, c := range []struct {
		flags []string
		says  string
	}{
		{[]string{"shared-postgres", "--admin-dsn", nowhere, "--dsn", good}, "does not answer"},
		{[]string{"shared-postgres", "--admin-dsn", owner, "--dsn", nowhere}, "127.0.0.1:1"},
		{[]string{"shared-postgres", "--admin-dsn", owner, "--dsn", pgtest.Role(t, owner, "BYPASSRLS")}, "row-level security"},
		{[]string{"shared-postgres", "--admin-dsn", owner}, "/dsn"},
		{[]string{"dedicated-postgres", "--admin-dsn", good}, "may not create databases and roles"},
		{[]string{"dedicated-postgres", "--admin-dsn", nowhere}, "does not answer"},
		{[]string{"dedicated-postgres", "--admin-dsn", stranger}, "does not let the role in"},
		{[]string{"dedicated-postgres", "--admin-dsn", owner, "--dsn", good}, "/dsn"},
		{[]string{"dedicated-postgres", "--admin-dsn", owner, "--path", t.TempDir()}, "/path"},
		{[]string{"sqlite", "--path", file}, "folder"},
		{[]string{"sqlite", "--path", t.TempDir(), "--dsn", good}, "/dsn"},
		{[]string{"sqlite"}, "/path"},
	} {
		out, code := p.command(t, append([]string{"backend", "add", "more"}, c.flags...)...)
		require.Equal(t, 65, code, "%v: %s", c.flags, out)
		require.Contains(t, out, c.says, "%v", c.flags)
		require.NotContains(t, out, "topsecret")
	}
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Join(p.folder, "data", "files-1"), link))
	for _, path := range []string{link, filepath.Join(link, "below")} {
		out, code := p.command(t, "backend", "add", "more", "sqlite", "--path", path)
		require.Equal(t, 73, code, out)
		require.Contains(t, out, "files-1 keeps its files there")
	}
	out, code := p.command(t, "backend", "add", "more", "sqlite", "--path", "")
	require.Equal(t, 64, code, out)
	require.NotContains(t, p.must(t, "backend", "list"), "more")
	p.must(t, "backend", "add", "more", "shared-postgres", "--admin-dsn", owner, "--dsn", "@"+file)
	p.must(t, "storefront", "create", "toys", "more")
	out, code = p.command(t, "backend", "remove", "more")
	require.Equal(t, 73, code, out)
	require.Contains(t, p.must(t, "backend", "list"), "more")
}
