// Command withpostgres runs a command beside a throwaway PostgreSQL server:
//
//	withpostgres go test ./...
//
// The command finds the superuser's URL in TEST_POSTGRES and a
// temporary folder in TMPDIR. When it has ended, or when this process is told to
// end, nothing is left: no server, no process that the command started, however
// detached, and no temporary file. The exit code is the command's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"smartseller/platform/pgserver"
	"smartseller/platform/pgserver/pgtest"
)

// grace is how long the command may take to end when told to.
const grace = 10 * time.Second

// connections is how many the server takes. A command such as the crash matrix has a dozen
// programs share it, each of which takes it for its own.
const connections = "1000"

// authentication is how long one may take to say who they are. Until then nobody's database is
// made or destroyed; and tests have programs stand still at any moment.
const authentication = "20s"

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withpostgres COMMAND [ARGUMENT...]")
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run starts the server, runs the command, and clears up after both.
func run(ctx context.Context, command []string) (code int, err error) {
	// Whoever loses its parent below us becomes our child, so that we can end it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, fmt.Errorf("adopt orphaned processes: %w", err)
	}
	server, err := pgserver.Start(ctx, pgserver.Options{Settings: map[string]string{"max_connections": connections, "authentication_timeout": authentication}})
	if err != nil {
		return 1, err
	}
	tmp, err := os.MkdirTemp("", "smartseller-run-")
	if err != nil {
		return 1, errors.Join(err, server.Stop())
	}
	defer func() {
		// The server is our child like the orphans: it goes first, in order.
		err = errors.Join(err, server.Stop(), killOrphans(), os.RemoveAll(tmp))
	}()
	// Servers that tests start themselves run under another account when we are root.
	if err := os.Chmod(tmp, 0o711); err != nil {
		return 1, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), pgtest.Variable+"="+server.AdminDSN(), "TMPDIR="+tmp)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return runGroup(ctx, cmd)
}

// runGroup runs the command as a process group, which gets the signal as a whole
// when the context ends, and is killed when it does not heed it.
func runGroup(ctx context.Context, cmd *exec.Cmd) (int, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	err := cmd.Run()
	if ctx.Err() != nil {
		return 130, errors.New("interrupted")
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// killOrphans ends what the command left running. The children of a killed
// process become ours, hence the rounds, until only ended ones remain.
func killOrphans() error {
	for {
		children, err := pgserver.Children(os.Getpid())
		if err != nil {
			return err
		}
		if len(children) == 0 {
			return nil
		}
		for _, pid := range children {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return fmt.Errorf("end process %d: %w", pid, err)
			}
			if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
				return fmt.Errorf("wait for process %d: %w", pid, err)
			}
		}
	}
}
