package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// demoMove prepares what `make demo-move` runs; all that it makes lies in the folder.
func demoMove(t *testing.T) (c *exec.Cmd, out *record, folder string) {
	t.Helper()
	program, err := build()
	require.NoError(t, err)
	runner, err := buildRunner()
	require.NoError(t, err, runner)
	demo := filepath.Join(t.TempDir(), "demomove")
	built, err := exec.Command("go", "build", "-o", demo, "./demomove").CombinedOutput()
	require.NoError(t, err, "%s", built)
	folder, out = t.TempDir(), &record{}
	c = exec.Command(demo, runner, program)
	c.Env = inherited("TMPDIR=" + folder)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return c, out, folder
}

func requireNothingLeft(t *testing.T, folder string) {
	t.Helper()
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left)
	running, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range running {
		command, err := os.ReadFile(file)
		if err == nil { // it has not ended meanwhile
			require.NotContains(t, string(command), folder)
		}
	}
}

func TestDemoMoveLosesNothing(t *testing.T) {
	t.Parallel()
	c, out, folder := demoMove(t)
	require.NoError(t, c.Run(), "%s", out)
	said := out.String()
	for _, told := range []string{"files-1 -> shared, in", "shared -> dedicated, in", "dedicated -> files-1, in", "in all, in", "nothing failed, nothing was lost"} {
		require.Contains(t, said, told)
	}
	require.Equal(t, 4, strings.Count(said, "failures               0\n"), said)
	require.Equal(t, 4, strings.Count(said, "longest stall"), said)
	requireNothingLeft(t, folder)
}

// TestDemoMoveInterrupted in the middle of a move leaves nothing behind either.
func TestDemoMoveInterrupted(t *testing.T) {
	t.Parallel()
	c, out, folder := demoMove(t)
	require.NoError(t, c.Start())
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "move watch demo --until watching") }, patience, glance, "%s", out)
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	require.Error(t, c.Wait())
	require.Equal(t, 130, c.ProcessState.ExitCode(), "%s", out)
	requireNothingLeft(t, folder)
}
