package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// said is what the last start printed. It is all there when the server answers.
func (p *program) said(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, "out"))
	require.NoError(t, err)
	return string(text)
}

// paste runs a printed line as a person would, in a shell.
func (p *program) paste(t *testing.T, line string) []byte {
	t.Helper()
	c := exec.Command("sh", "-ec", line)
	c.Dir = p.folder
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s: %s", line, out)
	return out
}

var (
	printedLogin = regexp.MustCompile(`(?m)^ *(curl .*auth/login.*)$`)
	printedMove  = regexp.MustCompile(`(?m)^.*: (.* move start demo files-.*)$`)
)

// requireComplete holds an installation against what a first start promises.
func requireComplete(t *testing.T, p *program) (move string) {
	t.Helper()
	said := p.said(t)
	login := printedLogin.FindStringSubmatch(said)
	require.Len(t, login, 2, said)
	var in session
	require.NoError(t, json.Unmarshal(p.paste(t, login[1]), &in))
	require.NotEmpty(t, in.Session.Access)
	require.Equal(t, "demo@example.com", in.Customer.Email)

	info, err := os.Stat(filepath.Join(p.folder, "data", "admin.token"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Contains(t, p.must(t, "storefront", "list"), "files-1 (epoch 1)")
	places, err := filepath.Glob(filepath.Join(p.folder, "data", "files-1", "[^.]*"))
	require.NoError(t, err)
	require.Len(t, places, 1, "one storefront has its place there")
	for _, backend := range []string{"files-1", "files-2"} {
		require.NotContains(t, p.must(t, "backend", "check", backend), "PROBLEM")
	}
	commands := printedMove.FindStringSubmatch(said)
	require.Len(t, commands, 2, said)
	return commands[1]
}

func TestFirstStartSaysWhatToTry(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.serve(t)
	require.Contains(t, p.said(t), p.url()+"/docs")
	move := requireComplete(t, p)
	p.waitFor(t, strings.Fields(string(p.paste(t, move)))[0], "watching")
	p.kill()
	p.serve(t)
	later := p.said(t)
	require.NotContains(t, later, "password")
	require.NotContains(t, later, "curl")
	require.Contains(t, later, p.url()+"/docs")
	require.Contains(t, printedMove.FindStringSubmatch(later)[1], "move start demo files-1", "it is on files-2 now")
}

// TestFirstStartSurvivesKills, one after each step and two while a place is made; the
// next start makes up for it, and leaves nothing of the one that was killed.
func TestFirstStartSurvivesKills(t *testing.T) {
	t.Parallel()
	for _, point := range []string{
		"first-start-admin", "first-start-backends", "K19", "storefront-founded", "first-start-storefront", "first-start-sample", "first-start-customer",
		"first-start-welcome",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			p := prepare(t)
			p.arm(t, point)
			p.launch(t)
			p.diesAt(t, point)
			p.serve(t)
			requireComplete(t, p)
		})
	}
}

// TestInstancesStartAtOnce on one empty control database: one of them makes the first
// start, all of them serve it.
func TestInstancesStartAtOnce(t *testing.T) {
	t.Parallel()
	for engine, control := range map[string]func(*testing.T) []string{
		"SQLite":   func(*testing.T) []string { return nil },
		"Postgres": func(t *testing.T) []string { return []string{"SMARTSELLER_CONTROL=" + pgtest.Database(t)} },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			startAtOnce(t, control(t))
		})
	}
}

func startAtOnce(t *testing.T, control []string) {
	first := prepare(t, control...)
	all := []*program{first}
	for range 2 {
		all = append(all, prepare(t, append(control, "SMARTSELLER_DATA="+filepath.Join(first.folder, "data"))...))
	}
	for _, p := range all {
		p.launch(t)
	}
	for _, p := range all {
		p.answers(t)
	}
	t.Cleanup(func() {
		for _, p := range all {
			if t.Failed() {
				t.Log(p.said(t), p.dead(), &p.log)
			}
		}
	})
	logins := 0
	for _, p := range all {
		logins += len(printedLogin.FindAllString(p.said(t), -1))
		require.Contains(t, first.must(t, "storefront", "list", "--url", p.url()), "files-1 (epoch 1)")
	}
	require.Equal(t, 1, logins, "what is said once")
}

func TestFailedStartsSayWhatToDo(t *testing.T) {
	t.Parallel()
	p := install(t)
	away := "postgres://me:hunter2@127.0.0.1:1/db?sslmode=disable"
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"serve", "--listen", p.address}, 69, "choose another address by --listen"},
		{[]string{"serve", "--control", away}, 69, "check the setting control"},
		{[]string{"admin", "create", "ada@example.com", "--control", away}, 69, "check the setting control"},
		{[]string{"serve", "--data", "/proc/nowhere"}, 78, "choose another one by --data"},
	} {
		out, code := p.command(t, c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, out)
		require.Contains(t, out, c.says, "%v", c.args)
		require.NotContains(t, out, "hunter2")
		require.NotContains(t, out, ".go:", "the words of the wiring")
	}
}
