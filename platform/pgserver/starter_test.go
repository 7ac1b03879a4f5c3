package pgserver_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver"
)

const starterVariable = "PGSERVER_TEST_STARTER"

// TestMain lets the test binary play a program that starts a server and is then killed.
func TestMain(m *testing.M) {
	if os.Getenv(starterVariable) == "" {
		os.Exit(m.Run())
	}
	s, err := pgserver.Start(context.Background(), pgserver.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Port())
	select {}
}

func TestServerEndsWithItsKilledStarter(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	starter := exec.Command(os.Args[0])
	starter.Env = append(os.Environ(), starterVariable+"=1", "TMPDIR="+tmp)
	starter.Stderr = os.Stderr
	out, err := starter.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, starter.Start())
	port, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address := net.JoinHostPort("127.0.0.1", port[:len(port)-1])
	require.True(t, listens(address))
	servers, err := pgserver.Children(starter.Process.Pid)
	require.NoError(t, err)
	require.Len(t, servers, 1)

	require.NoError(t, starter.Process.Kill())
	require.Error(t, starter.Wait())

	require.Eventually(t, func() bool { return !listens(address) && !running(servers[0]) }, 10*time.Second, 10*time.Millisecond)
	orphans, err := filepath.Glob(filepath.Join(tmp, "smartseller-postgres-*"))
	require.NoError(t, err)
	require.Len(t, orphans, 1, "a killed starter cannot remove its folder; the next one does")
}

func listens(address string) bool {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	return connection.Close() == nil
}

// running says whether a process still does anything; who has ended may stay
// listed until its parent, whoever that has become, takes notice.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}
