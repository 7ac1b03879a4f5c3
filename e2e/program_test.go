// Package e2e tests the whole program as people run it: the real binary, over HTTP
// and the command line.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

const (
	patience = 60 * time.Second
	glance   = 20 * time.Millisecond
)

// binaries is the folder with the program, which is built once for all tests of the
// package.
var binaries string

var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaries, "smartseller")
	out, err := exec.Command("go", "build", "-tags", "failpoints", "-o", binary, "../app/smartseller").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return binary, nil
})

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "smartseller-e2e-")
	if err != nil {
		panic(err)
	}
	binaries = folder
	pgtest.Main(m, func() error { return os.RemoveAll(folder) })
}

// program is one installation: a folder, an address, and a process that serves.
type program struct {
	binary, folder, address string
	environment             []string // of the next start
	process                 *exec.Cmd
	log                     bytes.Buffer
	contract                *contract
}

func install(t *testing.T) *program {
	t.Helper()
	p := prepare(t)
	p.serve(t)
	return p
}

// serve starts the process and waits until it answers.
func (p *program) serve(t *testing.T) {
	t.Helper()
	p.launch(t)
	p.answers(t)
}

// launch starts the process.
func (p *program) launch(t *testing.T) {
	t.Helper()
	out, err := os.Create(filepath.Join(p.folder, "out"))
	require.NoError(t, err)
	defer out.Close()
	p.process = exec.Command(p.binary, "serve", "--listen", p.address)
	p.process.Dir = p.folder
	p.process.Env = append(os.Environ(), p.environment...)
	p.process.Stdout, p.process.Stderr = out, &p.log
	p.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, p.process.Start())
}

// answers waits until the process does.
func (p *program) answers(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		response, err := http.Get("http://" + p.address + "/openapi.json")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, patience, glance, "the server does not answer: %s", &p.log)
}

func (p *program) kill() {
	_ = p.process.Process.Kill() // it may have ended by itself
	_ = p.process.Wait()
}

// command runs a command of the binary and returns what it printed and its exit code.
func (p *program) command(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, p.binary, args...)
	c.Dir = p.folder
	c.Env = append(os.Environ(), "SMARTSELLER_URL=http://"+p.address)
	out, err := c.CombinedOutput()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err, "%s", out)
	}
	return string(out), c.ProcessState.ExitCode()
}

func (p *program) must(t *testing.T, args ...string) string {
	t.Helper()
	out, code := p.command(t, args...)
	require.Zero(t, code, "%v: %s", args, out)
	return out
}

// start starts a move and returns its id.
func (p *program) start(t *testing.T, target string, more ...string) string {
	t.Helper()
	return strings.Fields(p.must(t, append([]string{"move", "start", "demo", target}, more...)...))[0]
}

func (p *program) phase(t *testing.T, move string) string {
	t.Helper()
	var m struct{ Phase string }
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "move", "show", move)), &m))
	return m.Phase
}

func (p *program) waitFor(t *testing.T, move, phase string) {
	t.Helper()
	var now string
	require.Eventually(t, func() bool {
		now = p.phase(t, move)
		return now == phase
	}, patience, glance, "waiting for %s: %s", phase, &p.log)
}

func TestFirstStartMoveAndStop(t *testing.T) {
	t.Parallel()
	p := install(t)
	require.Contains(t, p.must(t, "storefront", "list"), "files-1 (epoch 1)")
	move := p.start(t, "files-2")
	p.waitFor(t, move, "watching")
	require.Contains(t, p.must(t, "storefront", "list"), "files-2 (epoch 2)")
	p.must(t, "move", "finalize", move)
	require.Contains(t, p.must(t, "move", "watch", move), `"phase":"completed"`)
	require.Contains(t, p.must(t, "move", "show", move), `"outcome": "completed"`)

	require.NoError(t, p.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.process.Wait(), "a graceful stop exits with 0: %s", &p.log)
	p.serve(t) // and everything is still there
	require.Contains(t, p.must(t, "storefront", "list"), "files-2 (epoch 2)")
}

// TestKilledServerResumesItsMove kills the process again and again.
func TestKilledServerResumesItsMove(t *testing.T) {
	t.Parallel()
	p := install(t)
	move := p.start(t, "files-2", "--manual")
	p.waitFor(t, move, "verifying")
	p.kill()
	p.serve(t)
	p.must(t, "move", "cutover", move)
	p.waitFor(t, move, "watching")
	p.kill()
	p.serve(t)
	p.must(t, "move", "rollback", move)
	p.waitFor(t, move, "rolled_back")
	require.Contains(t, p.must(t, "storefront", "list"), "files-1 (epoch 3)")
}

func TestExitCodesAndErrors(t *testing.T) {
	t.Parallel()
	p := install(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"move", "start", "demo", "nowhere"}, 66, "no backend of that name"},
		{[]string{"move", "start", "demo", "files-1"}, 73, "already lives on that backend"},
		{[]string{"move", "start", "nobody", "files-2"}, 66, "no such storefront"},
		{[]string{"move", "show", "nothing"}, 66, "no such move"},
		{[]string{"backend", "remove", "files-1"}, 73, "still holds storefronts"},
		{[]string{"storefront", "create", "demo", "files-1"}, 73, "has this slug"},
		{[]string{"storefront", "create", "Bad Slug", "files-1"}, 65, "/slug"},
		{[]string{"storefront", "create", "toys", "files-1", "--time-zone", "Mars/Base"}, 65, "IANA time zone"},
		{[]string{"nonsense"}, 64, "nonsense"},
		{[]string{"storefront", "list", "--token", "wrong"}, 77, "not valid"},
		{[]string{"storefront", "list", "--url", "http://127.0.0.1:1"}, 69, "does not answer"},
	} {
		out, code := p.command(t, c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, out)
		require.Contains(t, out, c.says, "%v", c.args)
	}
}

// TestAnonymousIsRefused asks every admin operation of the served document.
func TestAnonymousIsRefused(t *testing.T) {
	t.Parallel()
	p := install(t)
	response, err := http.Get("http://" + p.address + "/openapi.json")
	require.NoError(t, err)
	defer response.Body.Close()
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&document))
	asked := 0
	for path, item := range document.Paths {
		if !strings.HasPrefix(path, "/api/admin/") {
			continue
		}
		for method := range item {
			request, err := http.NewRequest(strings.ToUpper(method), fmt.Sprintf("http://%s%s", p.address, path), strings.NewReader("{}"))
			require.NoError(t, err)
			request.Header.Set("Content-Type", "application/json")
			answer, err := p.contract.client().Do(request)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusUnauthorized, answer.StatusCode, "%s %s", method, path)
			asked++
		}
	}
	require.Greater(t, asked, 10)
}
