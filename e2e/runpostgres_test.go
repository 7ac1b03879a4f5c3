package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var buildRunner = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaries, "runpostgres")
	out, err := exec.Command("go", "build", "-o", binary, "../app/runpostgres").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return binary, nil
})

// runPostgres starts what `make run-postgres` runs, and waits until it has said all.
func (p *program) runPostgres(t *testing.T) {
	t.Helper()
	runner, err := buildRunner()
	require.NoError(t, err, runner)
	p.run(t, exec.Command(runner, "data", p.binary, "--listen", p.address))
	require.Eventually(t, func() bool {
		return p.dead() || proposedMove.MatchString(p.said(t))
	}, patience, glance, "it does not get ready: %s", &p.log)
}

// proposedMove is the last thing that is said.
var proposedMove = regexp.MustCompile(`move start demo (shared|dedicated)\n`)

// printedExport is the line that lets commands find everything.
var printedExport = regexp.MustCompile(`export SMARTSELLER_.*`)

func (p *program) silent() bool {
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		return true
	}
	_ = c.Close()
	return false
}

// TestRunPostgres: the roles suffice, Ctrl-C stops all in order, what was there is
// there again, and a kill leaves nothing running.
func TestRunPostgres(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.runPostgres(t)
	for _, backend := range []string{"files-1", "files-2", "shared", "dedicated"} {
		require.NotContains(t, p.must(t, "backend", "check", backend), "PROBLEM", backend)
	}
	require.Equal(t, "shared", proposedMove.FindStringSubmatch(p.said(t))[1])
	login := printedLogin.FindStringSubmatch(p.said(t))
	require.Len(t, login, 2)
	for _, target := range []string{"dedicated", "shared"} {
		move := p.start(t, target)
		p.waitFor(t, move, "watching")
		p.must(t, "move", "finalize", move)
		p.waitFor(t, move, "completed")
	}

	export := printedExport.FindString(p.said(t))
	require.Contains(t, string(p.paste(t, export+"; "+p.binary+" admin create ada@example.com")), "one-time password")
	require.Contains(t, string(p.paste(t, export+"; "+p.binary+" admin create ada@example.com || true")), "admin with this e-mail address already")
	require.NoFileExists(t, filepath.Join(p.folder, "data", "control.db"), "the admin is in the control database that serves")

	require.NoError(t, p.process.Process.Signal(syscall.SIGINT))
	<-p.ended
	require.NoError(t, p.outcome, &p.log)
	require.True(t, p.silent())
	_, err := os.Stat(filepath.Join(p.folder, "data", "server", "cluster", "postmaster.pid"))
	require.ErrorIs(t, err, os.ErrNotExist, "the server was stopped in order")

	p.runPostgres(t)
	require.NotContains(t, p.said(t), "password")
	require.Equal(t, "dedicated", proposedMove.FindStringSubmatch(p.said(t))[1], "it is on the shared one now")
	require.Contains(t, p.must(t, "storefront", "list"), "shared (epoch 3)")
	var in session
	require.NoError(t, json.Unmarshal(p.paste(t, login[1]), &in))
	status, _, _ := p.ask(t, "GET", "demo/profile", in.Session.Access, nil)
	require.Equal(t, http.StatusOK, status)

	p.kill()
	require.Eventually(t, p.silent, patience, glance, "the program outlives what started it")
	p.runPostgres(t)
	require.Contains(t, p.must(t, "storefront", "list"), "shared (epoch 3)")
}

// TestRunPostgresSaysWhyItFails: what it runs does not start.
func TestRunPostgresSaysWhyItFails(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	runner, err := buildRunner()
	require.NoError(t, err, runner)
	c := exec.Command(runner, "data", p.binary, "--listen", "nowhere")
	c.Dir = p.folder
	out, err := c.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "--listen: must be HOST:PORT")
}
