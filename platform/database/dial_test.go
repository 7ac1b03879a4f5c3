package database

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var _ pq.DialerContext = &dialer{}

// TestSilentServersAreNoticed: the kernel is told how patient to be, with what was sent
// and with what is awaited.
func TestSilentServersAreNoticed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := newDialer().DialContext(context.Background(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		option := func(level, name int) int {
			value, err := unix.GetsockoptInt(int(fd), level, name)
			require.NoError(t, err)
			return value
		}
		require.Equal(t, 30_000, option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT))
		require.Equal(t, 1, option(unix.SOL_SOCKET, unix.SO_KEEPALIVE))
		require.LessOrEqual(t, option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)+
			option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)*option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), 30)
	}))
}

// TestSocketsOfFiles know no such patience, and need none.
func TestSocketsOfFiles(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	defer l.Close()
	c, err := newDialer().DialTimeout("unix", l.Addr().String(), silence)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
