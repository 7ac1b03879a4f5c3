package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	readyWithin   = 2 * time.Minute
	stoppedWithin = time.Minute
)

// installation is a server with all kinds of backends, in a folder that goes with it.
type installation struct {
	folder, program, url string
	runner               *exec.Cmd
	ended                chan struct{} // closed when the runner has; then err says how
	err                  error
}

// newInstallation starts the runner and waits until its backends are registered.
func newInstallation(ctx context.Context, runner, program string) (i *installation, err error) {
	i = &installation{ended: make(chan struct{})}
	if i.program, err = filepath.Abs(program); err != nil {
		return nil, err
	}
	if i.folder, err = os.MkdirTemp("", "smartseller-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.close())
		}
	}()
	// The Postgres server runs under another account when we are root.
	if err := os.Chmod(i.folder, 0o711); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(i.folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	i.runner = exec.Command(runner, filepath.Join(i.folder, "data"), i.program, "--listen", "127.0.0.1:0", "--log-level", "warn")
	i.runner.Stderr = log
	// A group of its own: Ctrl-C is for us, who pass it on once.
	i.runner.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	said, err := i.runner.StdoutPipe()
	if err != nil {
		return nil, err
	}
	fmt.Println("starts PostgreSQL and the server")
	if err := i.runner.Start(); err != nil {
		i.runner = nil
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		readyURL(said, ready)
		i.err = i.runner.Wait()
		close(i.ended)
	}()
	select {
	case i.url = <-ready:
		return i, nil
	case <-i.ended:
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("the server did not start: %w\n%s", i.err, text)
	case <-time.After(readyWithin):
		return nil, errors.New("the server did not get ready in time")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readyURL reads all that the runner says and hands the server's URL over once
// the Postgres backends are registered.
func readyURL(said io.Reader, ready chan<- string) {
	lines, url := bufio.NewScanner(said), ""
	for lines.Scan() {
		if found, ok := strings.CutPrefix(lines.Text(), "SmartSeller serves on "); ok {
			url = found
		}
		if strings.Contains(lines.Text(), "move start demo shared") {
			ready <- url
		}
	}
	_, _ = io.Copy(io.Discard, said)
}

// close stops everything, in order, and removes the folder.
func (i *installation) close() error {
	var err error
	if i.runner != nil {
		select {
		case <-i.ended: // by itself: an error in any case
			err = errors.Join(errors.New("the server ended by itself"), i.err)
		default:
			err = i.stop()
		}
	}
	return errors.Join(err, os.RemoveAll(i.folder))
}

func (i *installation) stop() error {
	if err := i.runner.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-i.ended:
		return i.err
	case <-time.After(stoppedWithin):
		return errors.Join(errors.New("the server did not stop in time and was killed"), syscall.Kill(-i.runner.Process.Pid, syscall.SIGKILL))
	}
}

// command runs one of the program's commands as an operator types it, and shows
// what it says.
func (i *installation) command(ctx context.Context, args ...string) error {
	fmt.Println("$ smartseller " + strings.Join(args, " "))
	c := exec.CommandContext(ctx, i.program, args...)
	c.Env = append(os.Environ(), "SMARTSELLER_URL="+i.url, "SMARTSELLER_DATA="+filepath.Join(i.folder, "data"))
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Run(); err != nil {
		return fmt.Errorf("smartseller %s: %w", strings.Join(args, " "), err)
	}
	return nil
}
