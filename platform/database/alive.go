package database

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// alive says whether the server has not closed its end. A connection that was idle while its
// server went would be noticed by the first statement of a transaction only, which cannot go on
// over another one.
func (w *wire) alive() bool {
	s, ok := w.socket.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 0)
		gone = err == nil && n > 0
	})
	return err == nil && !gone
}
