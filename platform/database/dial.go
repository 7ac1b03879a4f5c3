package database

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// silence is how long a server's machine may acknowledge or take nothing before it
// counts as gone; a disk that is slow for a while takes less. The kernel's own patience
// is a quarter of an hour, and no context shortens it: lib/pq reads on until the
// connection ends.
const silence = 30 * time.Second

// dialer makes connections on which a cable that was pulled, or a firewall that has
// forgotten them, is noticed.
type dialer struct{ net.Dialer }

func newDialer() *dialer {
	return &dialer{net.Dialer{
		// While an answer is awaited, nothing is sent that could stay unacknowledged.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 5, Count: 2},
		ControlContext: func(_ context.Context, network, _ string, c syscall.RawConn) (err error) {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			if failed := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
			}); failed != nil {
				return failed
			}
			return err
		},
	}}
}

// DialTimeout implements pq.Dialer.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}
