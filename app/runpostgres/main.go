// Command runpostgres serves with everything that Postgres can do, for developers:
//
//	runpostgres FOLDER SMARTSELLER [FLAG-OF-SERVE...]
//
// It starts a PostgreSQL server of its own, whose data and everything else of this
// installation stay in the folder, runs `SMARTSELLER serve` with its control database
// there, and registers a shared and a dedicated Postgres beside the SQLite backends.
// Ctrl-C stops both, in order; a second one insists.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"smartseller/platform/pgserver"
)

// patience is how long serving may go on after it was told to stop.
const patience = 30 * time.Second

func main() {
	// What runs below us ends with us: the kernel sees to that when the thread that
	// started it ends, which must therefore be the main one.
	runtime.LockOSThread()
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: runpostgres FOLDER SMARTSELLER [FLAG-OF-SERVE...]")
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // the second signal has its usual effect
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "run-postgres:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder, program string, flags []string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	server, err := pgserver.Start(ctx, pgserver.Options{Dir: filepath.Join(folder, "server"), SamePort: true})
	if err != nil {
		return err
	}
	d, err := prepare(ctx, server)
	if err == nil {
		err = serve(ctx, server, d, folder, program, flags)
	}
	return errors.Join(err, server.Stop())
}

// serve runs the program until it ends or is told to.
func serve(ctx context.Context, server *pgserver.Server, d databases, folder, program string, flags []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := os.WriteFile(controlFile(folder), []byte(d.control+"\n"), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"serve"}, flags...)...)
	cmd.Env = append(os.Environ(), "SMARTSELLER_DATA="+folder, "SMARTSELLER_CONTROL_FILE="+controlFile(folder))
	cmd.Stderr = os.Stderr
	// A group of its own: Ctrl-C is for us, who pass it on once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lost := make(chan struct{}) // closed when the database server ended by itself
	go func() {
		select {
		case <-server.Exited():
			close(lost)
			cancel()
		case <-ctx.Done():
		}
	}()
	var registering sync.WaitGroup
	var failed error
	err = relay(said, func(url string) {
		registering.Go(func() {
			err := register(ctx, d, folder, program, url)
			if err != nil && ctx.Err() == nil {
				failed = err
				cancel()
			}
		})
	})
	if ended := cmd.Wait(); !cmd.ProcessState.Success() {
		err = errors.Join(err, ended)
	}
	cancel()
	registering.Wait()
	err = errors.Join(err, failed)
	select {
	case <-lost:
		err = errors.Join(errors.New("the PostgreSQL server ended by itself; its log is in "+filepath.Join(folder, "server", "log")), err)
	default:
	}
	return err
}

// controlFile keeps the DSN of the control database, for commands that work on that
// itself. Without it they would make another one.
func controlFile(folder string) string { return filepath.Join(folder, "control.dsn") }

// relay passes on what the program says until it says no more, and calls ready
// with the URL that it serves on.
func relay(said io.Reader, ready func(url string)) error {
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		fmt.Println(lines.Text())
		if url, ok := strings.CutPrefix(lines.Text(), "SmartSeller serves on "); ok {
			ready(url)
		}
	}
	return lines.Err()
}
