package e2e

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The walk-through of README.md is every fenced block behind a line `<!-- walk -->`,
// in their order. What follows `#>` on a line must be part of what the line prints. A
// line that says Ctrl-C is interrupted once it has printed that. `make run` serves on
// while the other lines are run.
const (
	walkMark  = "<!-- walk -->"
	printsTo  = "#>"
	server    = "make run"
	interrupt = "Ctrl-C"
	written   = "127.0.0.1:8080" // the address in README.md
)

// step is one line of the walk, as it is typed.
type step struct {
	line, prints string
	interrupted  bool
}

// walk reads the steps out of a README.
func walk(text string) (steps []step) {
	for _, part := range strings.Split(text, walkMark+"\n")[1:] {
		_, part, _ = strings.Cut(part, "```") // what opens the fence
		_, part, _ = strings.Cut(part, "\n")
		block, _, _ := strings.Cut(part, "```")
		for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", "")) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			_, prints, _ := strings.Cut(line, printsTo)
			steps = append(steps, step{line: line, prints: strings.TrimSpace(prints), interrupted: strings.Contains(line, interrupt)})
		}
	}
	return steps
}

// newcomer is somebody who has just cloned the repository and types what it says.
type newcomer struct {
	t               *testing.T
	folder, address string
	transcript      bytes.Buffer
	server          *exec.Cmd
	serving         chan struct{} // closed when the server has ended
	log             record
}

// TestReadmeWalk types the walk-through of README.md as written, in a fresh copy of the
// tree; only the address is another one.
func TestReadmeWalk(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	steps := walk(string(text))
	require.True(t, slices.ContainsFunc(steps, func(s step) bool { return strings.HasPrefix(s.line, server) }), "the walk must begin with %s", server)
	checked := 0
	for _, s := range steps {
		if s.prints != "" {
			checked++
		}
	}
	require.Greater(t, checked, 5, "the walk in README.md must say what its lines print, behind %s", printsTo)

	n := &newcomer{t: t, folder: t.TempDir(), address: freeAddress(t)}
	copyTree(t, "..", n.folder)
	t.Cleanup(n.leave)
	for _, s := range steps {
		n.take(s)
	}
}

// copyTree copies what a clone has.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "data", ".ci/tools/bin"}, name) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		if name == ".git" || !d.Type().IsRegular() { // of a work tree
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), content, info.Mode().Perm())
	}))
}

// environment lets the program serve at the address.
func (n *newcomer) environment() []string {
	return inherited("SMARTSELLER_LISTEN="+n.address, "SMARTSELLER_URL=http://"+n.address)
}

// take types one line and holds what it prints against what README.md says.
func (n *newcomer) take(s step) {
	n.t.Helper()
	if strings.HasPrefix(s.line, server) {
		n.serve()
		return
	}
	out := n.typed(s)
	n.transcript.WriteString("$ " + s.line + "\n" + out)
	require.Contains(n.t, out, s.prints, "%s\n%s", &n.transcript, &n.log)
}

// typed runs a line in a shell that knows the variables of the lines before.
func (n *newcomer) typed(s step) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	script := `set -a; [ ! -e .variables ] || . ./.variables
` + strings.ReplaceAll(s.line, written, n.address) + `
code=$?; export -p > .variables; exit $code`
	c := exec.CommandContext(ctx, "bash", "-c", script)
	c.Dir, c.Env = n.folder, n.environment()
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	var out record
	c.Stdout, c.Stderr = &out, &out
	require.NoError(n.t, c.Start())
	if s.interrupted {
		require.Eventually(n.t, func() bool { return strings.Contains(out.String(), s.prints) }, patience, glance, "%s\n%s", s.line, &out)
		require.NoError(n.t, syscall.Kill(-c.Process.Pid, syscall.SIGINT))
	}
	err := c.Wait()
	var exit *exec.ExitError
	if !s.interrupted || !errors.As(err, &exit) {
		require.NoError(n.t, err, "%s$ %s\n%s%s", &n.transcript, s.line, &out, &n.log)
	}
	return out.String()
}

// serve types `make run`, as in a terminal of its own, and waits until it serves.
func (n *newcomer) serve() {
	n.server = exec.Command("make", "run")
	n.server.Dir, n.server.Env = n.folder, n.environment()
	n.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	n.server.Stdout, n.server.Stderr = &n.log, &n.log
	require.NoError(n.t, n.server.Start())
	n.serving = make(chan struct{})
	go func() {
		_ = n.server.Wait()
		close(n.serving)
	}()
	require.Eventually(n.t, func() bool {
		select {
		case <-n.serving:
			return true
		default:
		}
		response, err := http.Get("http://" + n.address + "/readyz")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, 5*time.Minute, glance, "%s", &n.log) // it is compiled first
}

// leave ends the server by Ctrl-C in its terminal.
func (n *newcomer) leave() {
	if n.server == nil {
		return
	}
	_ = syscall.Kill(-n.server.Process.Pid, syscall.SIGINT)
	select {
	case <-n.serving:
	case <-time.After(patience):
		_ = syscall.Kill(-n.server.Process.Pid, syscall.SIGKILL)
		n.t.Errorf("the server does not end: %s", &n.log)
	}
}

// TestWalkIsReadAsWritten: a reader that finds nothing looks the same as a walk that works.
func TestWalkIsReadAsWritten(t *testing.T) {
	t.Parallel()
	require.Equal(t, []step{
		{line: "make run   # in one terminal"},
		{line: "a=1"},
		{line: "echo $a   two   #> 1 two", prints: "1 two"},
		{line: "watch it  # until it is there, then Ctrl-C  #> there", prints: "there", interrupted: true},
	}, walk("# Title\n```\nnot this\n```\n<!-- walk -->\n```sh\nmake run   # in one terminal\n```\nText\n\n<!-- walk -->\n```\na=1\n\n# a comment\necho $a \\\n  two   #> 1 two\nwatch it  # until it is there, then Ctrl-C  #> there\n```\n```\nnor this\n```\n"))
}
