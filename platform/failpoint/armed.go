//go:build failpoints

package failpoint

import (
	"os"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	point, signal = parse(os.Getenv(Variable))
	arrived       atomic.Bool
)

func parse(setting string) (string, syscall.Signal) {
	if point, stop := strings.CutPrefix(setting, "stop:"); stop {
		return point, syscall.SIGSTOP
	}
	return setting, syscall.SIGKILL
}

// Reach ends or stops the process if this is the point that the environment names.
// Safe for concurrent use.
func Reach(name string) {
	if name != point || !arrived.CompareAndSwap(false, true) {
		return
	}
	if err := syscall.Kill(os.Getpid(), signal); err != nil {
		panic("a process may signal itself: " + err.Error())
	}
	if signal == syscall.SIGKILL {
		select {} // not one statement more
	}
}
