package pgtest

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pooler starts a PgBouncer that pools transactions over this many connections to
// the server, and returns the URL that leads through it to the DSN's database, as
// the DSN's role. It ends with the test, or with the process.
func Pooler(t testing.TB, dsn string, connections int) (pooled string) {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil { // Debian keeps it out of an ordinary PATH
		program, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	require.NoError(t, err, "PgBouncer is missing; install it, on Debian with: apt-get install pgbouncer")
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	password, _ := u.User.Password()
	port := freePort(t)
	file := filepath.Join(t.TempDir(), "pgbouncer.ini")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `[databases]
* = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 1000
ignore_startup_parameters = extra_float_digits
`, u.Hostname(), u.Port(), u.User.Username(), password, port, connections), 0o600))
	args := []string{file}
	if os.Geteuid() == 0 {
		args = []string{"-u", "nobody", file}
	}
	start(t, exec.Command(program, args...), "process up")
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return u.String()
}

// start runs a program that ends with the test, and waits until its log says that
// it is up. The kernel ends it with the thread that started it, which is kept for that.
func start(t testing.TB, cmd *exec.Cmd, up string) {
	t.Helper()
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ready, ended := make(chan error), make(chan struct{}), make(chan struct{})
	var said strings.Builder // read when it has ended
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		for lines := bufio.NewScanner(log); lines.Scan(); {
			fmt.Fprintln(&said, lines.Text())
			if strings.Contains(lines.Text(), up) {
				close(ready)
			}
		}
		_ = cmd.Wait() // it is killed
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("%s ended: %s", cmd.Path, said.String())
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
