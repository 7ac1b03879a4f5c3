package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The folder and the password reach PostgreSQL as open files. Run as root, the
// server's account may not be allowed to walk the path to them (a clone in
// root's home); through an open file it need not.
const (
	clusterFD  = "/proc/self/fd/3"
	passwordFD = "/proc/self/fd/4"
)

const stopTimeout = 30 * time.Second

// process is a program of PostgreSQL that runs as our child.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// launch starts a program of PostgreSQL on the folder's cluster.
func launch(home *folder, who account, program string, args ...string) (*process, error) {
	files, err := openAll(home.data(), filepath.Join(home.dir, "password"))
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	log, err := os.OpenFile(home.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	p := &process{cmd: exec.Command(program, append([]string{"-D", clusterFD}, args...)...), done: make(chan struct{})}
	p.cmd.Dir = "/"
	p.cmd.Env = environment()
	p.cmd.ExtraFiles = files
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: who.credential,
		// Ctrl-C is for the starter, who stops the server when it has no more use for it.
		Setpgid: true,
		// The immediate shutdown: as fast as a kill, but takes the children along.
		Pdeathsig: syscall.SIGQUIT,
	}
	return p, p.start()
}

// start runs the program from a thread that lives as long as the program: the
// kernel sends Pdeathsig when the thread that forked ends, not the process.
func (p *process) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
	}()
	return <-started
}

// wait returns when the program has ended, how it ended.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.stop())
	}
}

// awaitReady returns when the server accepts connections, which it says in the
// last line of its pid file. A server that does not get there is ended.
func (p *process) awaitReady(ctx context.Context, data string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if pid, status := readPIDFile(data); pid == p.cmd.Process.Pid && status == "ready" {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended: %w", errors.Join(p.err, errors.New("not ready")))
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), p.stop())
		case <-tick.C:
		}
	}
}

// stop asks for the fast shutdown, and insists when it takes too long.
func (p *process) stop() error {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := p.signal(signal); err != nil {
			return err
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(stopTimeout):
		}
	}
	return fmt.Errorf("process %d does not end", p.cmd.Process.Pid)
}

// killAll ends the server's processes without a chance to react. The first is
// halted meanwhile, or it would replace its children. What it leaves in System V
// shared memory is removed, since a restart in the same folder may never come.
func (p *process) killAll(data string) error {
	segment := sharedMemory(data)
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	children, err := Children(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	for _, pid := range append(children, p.cmd.Process.Pid) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill PostgreSQL's process %d: %w", pid, err)
		}
	}
	<-p.done
	if segment >= 0 {
		_, err := unix.SysvShmCtl(segment, unix.IPC_RMID, nil)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
			return fmt.Errorf("remove PostgreSQL's shared memory: %w", err)
		}
	}
	return nil
}

func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal PostgreSQL's process %d: %w", p.cmd.Process.Pid, err)
	}
	return nil
}

func pidFileLines(data string) []string {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return nil
	}
	return strings.Split(string(text), "\n")
}

// readPIDFile reads lines 1 and 8 of postmaster.pid: the process and its status.
func readPIDFile(data string) (pid int, status string) {
	lines := pidFileLines(data)
	if len(lines) < 8 {
		return 0, ""
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil {
		return 0, ""
	}
	return pid, strings.TrimSpace(lines[7])
}

// sharedMemory reads the id of the server's segment from line 7 of
// postmaster.pid, "key id"; -1 when there is none.
func sharedMemory(data string) int {
	lines := pidFileLines(data)
	if len(lines) < 7 {
		return -1
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return -1
	}
	id, err := strconv.Atoi(fields[1])
	if err != nil {
		return -1
	}
	return id
}

func openAll(paths ...string) ([]*os.File, error) {
	var files []*os.File
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close()
	}
}
