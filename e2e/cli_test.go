package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// background prepares a command that is run beside others, and what it will print.
func (p *program) background(args ...string) (*exec.Cmd, *record) {
	c := exec.Command(p.binary, args...)
	c.Dir, c.Env = p.folder, inherited("SMARTSELLER_URL=http://"+p.address)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := &record{}
	c.Stdout, c.Stderr = out, out
	return c, out
}

// TestWatchIsLeftAndReconnects: Ctrl-C leaves the move running; a server that starts
// anew in between is none of the watcher's business.
func TestWatchIsLeftAndReconnects(t *testing.T) {
	t.Parallel()
	p := install(t)
	move := p.start(t, "files-2", "--manual")
	left, said := p.background("move", "watch", "demo")
	require.NoError(t, left.Start())
	require.Eventually(t, func() bool { return strings.Contains(said.String(), "verified") }, patience, glance, "%s", said)
	require.NoError(t, left.Process.Signal(syscall.SIGINT))
	require.Error(t, left.Wait())
	require.Equal(t, 75, left.ProcessState.ExitCode(), "%s", said)
	require.Contains(t, said.String(), "the move goes on without you")

	watching, told := p.background("move", "watch", move, "--until", "watching")
	require.NoError(t, watching.Start())
	require.Eventually(t, func() bool { return strings.Contains(told.String(), "verified") }, patience, glance, "%s", told)
	p.kill()
	p.serve(t)
	p.must(t, "move", "cutover", "demo")
	require.NoError(t, watching.Wait(), "%s", told)
	require.Contains(t, told.String(), "took the move over")
	require.Equal(t, 1, strings.Count(told.String(), "preparing\n"), "nothing is told twice: %s", told)
	require.Contains(t, told.String(), "lives on files-2")
}

// TestCommandsAnswerScripts: with --json, all that is printed is JSON.
func TestCommandsAnswerScripts(t *testing.T) {
	t.Parallel()
	p := install(t)
	for _, args := range []string{
		"version", "storefront create toys files-1", "storefront list", "storefront show toys", "backend add files-3 sqlite --path " + filepath.Join(p.folder, "files-3"),
		"backend list", "backend check files-3", "backend remove files-3", "where toys", "move start toys files-2 --dry-run",
		"move start toys files-2 --manual", "move watch toys --until verifying", "move list", "move list toys", "move show toys", "move explain toys",
		"schema status", "schema status toys", "schema upgrade toys", "schema upgrade", "move pause toys", "move watch toys --until paused", "move watch toys --until paused",
		"move resume toys", "move watch toys --until verifying", "move cancel toys",
	} {
		out := p.must(t, append(strings.Fields(args), "--json")...)
		decoder, values := json.NewDecoder(strings.NewReader(out)), 0
		for decoder.More() {
			var v map[string]any
			require.NoError(t, decoder.Decode(&v), "%s: %s", args, out)
			require.NotEmpty(t, v, args)
			values++
		}
		require.Positive(t, values, args)
	}
}

// TestMovesAreFoundByTheirStorefront, also in a list.
func TestMovesAreFoundByTheirStorefront(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.must(t, "storefront", "create", "toys", "files-1")
	first := p.start(t, "files-2")
	p.must(t, "move", "watch", "demo", "--until", "watching")
	p.must(t, "move", "rollback", "demo")
	require.Contains(t, p.must(t, "move", "watch", "demo"), "rolled_back")
	out, code := p.command(t, "move", "watch", "demo", "--until", "watching")
	require.Equal(t, 73, code, "it is not there any more: %s", out)
	second := p.start(t, "files-2", "--manual")
	shown := p.must(t, "move", "show", "demo")
	require.Contains(t, shown, second, "the newest is meant")
	require.Contains(t, p.must(t, "move", "show", first), first)
	require.Equal(t, 2, strings.Count(p.must(t, "move", "list", "demo"), "\n"))
	require.Empty(t, p.must(t, "move", "list", "toys"))
	require.Regexp(t, first+`  demo +files-1 -> files-2  rolled_back  \S+Z to \S+Z\n`, p.must(t, "move", "list"))
	require.Regexp(t, `^`+second+`  demo +files-1 -> files-2  \w+  since \S+Z\n$`, p.must(t, "move", "list", "--open"))
	require.NotContains(t, p.must(t, "move", "list", "--json"), `"receipt"`)
	require.Contains(t, p.must(t, "move", "show", first, "--json"), `"receipt"`)
	p.must(t, "move", "cancel", "demo")
	require.Contains(t, p.must(t, "move", "watch", second), "cancelled")
	require.Empty(t, p.must(t, "move", "list", "--open"))
}

// TestSchemaOfTheFleet: one place that is lost stops nobody else, and shows in the
// exit code.
func TestSchemaOfTheFleet(t *testing.T) {
	t.Parallel()
	p := install(t)
	require.Regexp(t, `demo +files-1 +current +at \d+\n1 current\n`, p.must(t, "schema", "status"))
	var lost struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "storefront", "create", "another", "files-1", "--json")), &lost))
	p.stop(t)
	require.NoError(t, os.RemoveAll(filepath.Join(p.folder, "data", "files-1", lost.ID)))
	p.serve(t)
	require.Regexp(t, `another +files-1 +unknown .*\ndemo +files-1 +current +at \d+\n1 current, 1 unknown\n`, p.must(t, "schema", "status"))
	out, code := p.command(t, "schema", "upgrade")
	require.Equal(t, 73, code, out)
	require.Regexp(t, `has begun, places: 2 waiting\n`, out)
	require.Regexp(t, `another +files-1 +failed: .*restore it from a backup`, out)
	require.Regexp(t, `demo +files-1 +done: was at \d+ already`, out)
	require.Contains(t, out, "completed, places: 1 done, 1 failed")
	require.Regexp(t, `another .* upgrade failed: .*restore it`, p.must(t, "schema", "status"))
	out, code = p.command(t, "schema", "upgrade", "--failed")
	require.Equal(t, 73, code, out)
	require.Contains(t, out, "has begun, places: 1 done, 1 waiting")
	require.Contains(t, p.must(t, "schema", "upgrade", "demo"), "current")
	out, code = p.command(t, "schema", "cancel")
	require.Equal(t, 73, code, out)
}
