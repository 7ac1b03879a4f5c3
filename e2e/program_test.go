// Package e2e tests the whole program as people run it: the real binary, over HTTP
// and the command line.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/failpoint"
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
	ended                   chan struct{} // closed when the process has
	outcome                 error         // how it ended
	endedAt, downSince      time.Time     // this process; the one before
	outages                 []outage
	log                     record
	contract                *contract
}

// outage is a time in which the program did not serve, on purpose.
type outage struct{ from, to time.Time }

// record keeps what a process writes. Safe for concurrent use.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func install(t *testing.T, environment ...string) *program {
	t.Helper()
	p := prepare(t, environment...)
	p.serve(t)
	return p
}

// prepare is install without a start.
func prepare(t *testing.T, environment ...string) *program {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	p := &program{binary: binary, folder: t.TempDir(), address: freeAddress(t), environment: environment}
	p.contract = newContract(t, p.address)
	return p
}

// handedOut are the ports that programs of this test process were given.
var handedOut sync.Map

// freeAddress is where a program may listen, also when it starts later or again: below
// the ports that the kernel gives to clients, and given to nobody else here.
func freeAddress(t *testing.T) string {
	t.Helper()
	const first, count, tries = 20_000, 12_000, 100
	for range tries {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.N(count))
		if _, taken := handedOut.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	require.Fail(t, "no free port was found", "%d tries", tries)
	return ""
}

// inherited is the environment of this process without what is meant for tests: the
// program refuses settings that it does not know.
func inherited(more ...string) []string {
	kept := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SMARTSELLER_") })
	return append(kept, more...)
}

func (p *program) url() string { return "http://" + p.address }

// controlDSN says where the control database is.
func (p *program) controlDSN() string {
	for _, s := range p.environment {
		if dsn, ok := strings.CutPrefix(s, "SMARTSELLER_CONTROL="); ok {
			return dsn
		}
	}
	return "sqlite:" + filepath.Join(p.folder, "data", "control.db")
}

// arm says at which point the process is to end, or to "stop POINT": see failpoint.
func (p *program) arm(t *testing.T, point string) {
	t.Helper()
	require.NoError(t, os.WriteFile(p.points()+".new", []byte(point), 0o600))
	require.NoError(t, os.Rename(p.points()+".new", p.points()))
}

// points is the file of the failpoints, one per process also where they share a folder.
func (p *program) points() string {
	return filepath.Join(p.folder, "point-"+strings.ReplaceAll(p.address, ":", "-"))
}

// serve starts the process and waits until it answers.
func (p *program) serve(t *testing.T) {
	t.Helper()
	p.launch(t)
	p.answers(t)
	require.False(t, p.dead(), "the server does not stay: %s", &p.log)
}

// launch starts the process.
func (p *program) launch(t *testing.T) {
	t.Helper()
	p.run(t, exec.Command(p.binary, "serve", "--listen", p.address))
}

// run starts a process that serves.
func (p *program) run(t *testing.T, process *exec.Cmd) {
	t.Helper()
	out, err := os.Create(filepath.Join(p.folder, "out"))
	require.NoError(t, err)
	defer out.Close()
	process.Dir = p.folder
	process.Env = append(inherited(p.environment...), failpoint.Variable+"="+p.points())
	process.Stdout, process.Stderr = out, &p.log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, process.Start())
	p.process, p.ended = process, make(chan struct{})
	p.downSince = p.endedAt
	t.Cleanup(p.kill)
	go func(ended chan struct{}) {
		p.outcome, p.endedAt = process.Wait(), time.Now()
		close(ended)
	}(p.ended)
}

// answers waits until the process does, or is dead.
func (p *program) answers(t *testing.T) {
	t.Helper()
	defer func() { p.outages = append(p.outages, outage{p.downSince, time.Now()}) }()
	require.Eventually(t, func() bool {
		response, err := http.Get(p.url() + "/healthz")
		if err != nil {
			return p.dead()
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, patience, glance, "the server does not answer: %s", &p.log)
}

// kill ends the process at once, unless it has ended by itself.
func (p *program) kill() {
	_ = p.process.Process.Kill() // an error says that it has ended
	<-p.ended
}

// stop ends the process as an operator would, and expects it to end well.
func (p *program) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.wait(t), "a graceful stop exits with 0: %s", &p.log)
}

// wait waits until the process has ended and says how.
func (p *program) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.Fail(t, "the server does not end", "%s", &p.log)
	}
	return p.outcome
}

func (p *program) dead() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// diesAt waits until the process has killed itself at a point.
func (p *program) diesAt(t *testing.T, point string) {
	t.Helper()
	var exit *exec.ExitError
	require.ErrorAs(t, p.wait(t), &exit, "%s: %s", point, &p.log)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%s: %s", point, &p.log)
}

// command runs a command of the binary and returns what it printed and its exit code.
func (p *program) command(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, p.binary, args...)
	c.Dir = p.folder
	c.Env = inherited("SMARTSELLER_URL=" + p.url())
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

func TestFirstStartMoveAndStop(t *testing.T) {
	t.Parallel()
	p := install(t)
	require.Contains(t, p.must(t, "storefront", "list"), "files-1 (epoch 1)")
	before := time.Now().UTC().Format(time.RFC3339Nano)
	move := p.start(t, "files-2")
	p.waitFor(t, move, "watching")
	require.Contains(t, p.must(t, "storefront", "list"), "files-2 (epoch 2)")
	require.Contains(t, p.must(t, "where", "demo"), "files-2 at epoch 2")
	require.Contains(t, p.must(t, "where", "demo", "--at", before), "files-1 at epoch 1")
	p.must(t, "move", "finalize", move)
	require.Contains(t, p.must(t, "move", "watch", move), "completed")
	require.Contains(t, p.must(t, "move", "show", move, "--json"), `"outcome": "completed"`)

	p.stop(t)
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
		{[]string{"move", "show", "demo"}, 66, "has never been moved"},
		{[]string{"move", "pause", "0193b3a0-0000-7000-8000-000000000001"}, 66, "no such move"},
		{[]string{"move", "watch", "demo", "--until", "nonsense"}, 64, "--until"},
		{[]string{"where", "demo", "--at", "2999-01-01T00:00:00Z"}, 65, "at: is later than"},
		{[]string{"where", "demo", "--at", "0001-01-01T00:00:00Z"}, 66, "did not exist at that time"},
		{[]string{"backend", "add", "Files", "sqlite", "--path", "x"}, 65, "/name"},
		{[]string{"backend", "check", "nothing"}, 66, "no backend of that name"},
		{[]string{"storefront", "list", "--config", "absent.yaml"}, 78, "absent.yaml"},
		{[]string{"version"}, 0, "go1."},
		{[]string{"backend", "remove", "files-1"}, 73, "still holds storefronts"},
		{[]string{"storefront", "create", "demo", "files-1"}, 73, "has this slug"},
		{[]string{"storefront", "create", "Bad Slug", "files-1"}, 65, "/slug"},
		{[]string{"storefront", "create", "blank", "files-1", "--title", " "}, 65, "/name"},
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
	response, err := http.Get(p.url() + "/openapi.json")
	require.NoError(t, err)
	defer response.Body.Close()
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&document))
	asked := 0
	for path, item := range document.Paths {
		if !strings.HasPrefix(path, "/api/admin/") || path == "/api/admin/login" {
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
