package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const selfVariable = "WITHPOSTGRES_TEST_SELF"

// TestMain lets the test binary play the command itself.
func TestMain(m *testing.M) {
	if os.Getenv(selfVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

// withPostgres prepares a run of a shell script beside a server.
func withPostgres(t *testing.T, script string) (cmd *exec.Cmd, tmp string) {
	t.Helper()
	tmp = t.TempDir()
	for dir := tmp; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o711))
	}
	cmd = exec.Command(os.Args[0], "sh", "-c", script)
	cmd.Env = append(os.Environ(), selfVariable+"=1", "TMPDIR="+tmp)
	cmd.Stderr = os.Stderr
	return cmd, tmp
}

func requireNothingLeft(t *testing.T, tmp string) {
	t.Helper()
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func requireGone(t *testing.T, pid string) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(pid), "stat"))
		return err != nil || strings.Contains(string(stat), ") Z ") // ended, whoever has to take notice
	}, 5*time.Second, 10*time.Millisecond)
}

func TestExitCodeAndEnvironmentAreTheCommands(t *testing.T) {
	t.Parallel()
	cmd, tmp := withPostgres(t, `echo "$TEST_POSTGRES"; touch "$TMPDIR/rubbish"; exit 3`)
	out, err := cmd.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
	require.True(t, strings.HasPrefix(string(out), "postgres://postgres:"), string(out))
	requireNothingLeft(t, tmp)
}

func TestDetachedProcessesAreEnded(t *testing.T) {
	t.Parallel()
	cmd, tmp := withPostgres(t, `
		setsid sh -c 'sleep 600 >/dev/null 2>&1 & echo $! >"$TMPDIR/pid"; exec sleep 600 >/dev/null 2>&1' &
		until [ -s "$TMPDIR/pid" ]; do :; done; cat "$TMPDIR/pid"`)
	out, err := cmd.Output()
	require.NoError(t, err)
	require.NotEmpty(t, out)
	requireGone(t, string(out))
	requireNothingLeft(t, tmp)
}

func TestInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			t.Parallel()
			cmd, tmp := withPostgres(t, `touch "$TMPDIR/rubbish"; echo $$; exec sleep 600`)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			pid, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)

			require.NoError(t, cmd.Process.Signal(s))
			_, err = io.Copy(io.Discard, out)
			require.NoError(t, err)
			require.Error(t, cmd.Wait())
			require.Equal(t, 130, cmd.ProcessState.ExitCode())
			requireGone(t, pid)
			requireNothingLeft(t, tmp)
		})
	}
}
