package httpx

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// http.Server.Shutdown loses requests: it resets connections that wait to be
// accepted, and it drops a request that it reads on a connection which was new when
// it began. So the door is closed first, behind everybody who has knocked, and the
// server only when nobody is being served any more.

// door is a listener that can be closed without turning away who has connected.
type door struct {
	*net.TCPListener
	late int // connections that may still be accepted once it closes
}

const mostLate = 4096 // as many as the kernel may keep waiting

func newDoor(l net.Listener) net.Listener {
	if tcp, ok := l.(*net.TCPListener); ok {
		return &door{TCPListener: tcp, late: mostLate}
	}
	return l
}

// shut closes the listener, a door as soon as nobody waits before it.
func shut(l net.Listener) error {
	if d, ok := l.(*door); ok {
		return d.SetDeadline(time.Unix(1, 0)) // Accept ends
	}
	return l.Close()
}

// Accept implements net.Listener. It is called by one goroutine alone.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.TCPListener.Accept()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return c, err
	}
	if d.late--; d.late >= 0 {
		c, err = d.acceptWaiting()
	}
	if c == nil && err == nil || d.late < 0 {
		// At once: who connects between the last look and this is turned away. The
		// time of notice, in which everybody may go elsewhere, makes that rare.
		return nil, errors.Join(net.ErrClosed, d.Close())
	}
	return c, err
}

// acceptWaiting lets in who has connected already; nil when nobody has. Go's own
// Accept does not look once a deadline has passed.
func (d *door) acceptWaiting() (net.Conn, error) {
	raw, err := d.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	if err := raw.Control(func(listening uintptr) {
		fd, _, failed = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	}); err != nil {
		return nil, err
	}
	if errors.Is(failed, unix.EAGAIN) {
		return nil, nil
	}
	if failed != nil {
		return nil, failed
	}
	f := os.NewFile(uintptr(fd), "")
	c, err := net.FileConn(f) // its own duplicate
	return c, errors.Join(err, f.Close())
}

// visitors knows which connections have a request under way, or may have.
type visitors struct {
	mu     sync.Mutex
	served map[net.Conn]bool      // a request is under way
	silent map[net.Conn]time.Time // has said nothing yet, since when it is here
}

func newVisitors() *visitors {
	return &visitors{served: map[net.Conn]bool{}, silent: map[net.Conn]time.Time{}}
}

// note is http.Server.ConnState.
func (v *visitors) note(c net.Conn, s http.ConnState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.served, c)
	delete(v.silent, c)
	switch s {
	case http.StateNew:
		v.silent[c] = time.Now()
	case http.StateActive:
		v.served[c] = true
	}
}

// gone says that nobody is served, and that whoever is silent has had a second to
// say something: browsers open connections that they may never use.
func (v *visitors) gone() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, since := range v.silent {
		if time.Since(since) < time.Second {
			return false
		}
	}
	return len(v.served) == 0
}

// leave waits until everybody is gone, or ctx ends.
func (v *visitors) leave(ctx context.Context) error {
	const look = 5 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !v.gone() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
