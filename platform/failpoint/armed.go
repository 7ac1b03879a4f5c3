//go:build failpoints

package failpoint

import (
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

var file = os.Getenv(Variable)

// Reach ends or stops the process if this is the point that the file names. Safe for
// concurrent use.
func Reach(name string) {
	if file == "" {
		return
	}
	text, _ := os.ReadFile(file) // none: nothing is to happen
	point, stop := strings.CutPrefix(string(text), "stop ")
	if point != name || os.Remove(file) != nil { // somebody else was faster
		return
	}
	signal := syscall.SIGKILL
	if stop {
		signal = syscall.SIGSTOP
	}
	// To this very thread: a signal to the process may be taken by another one, and until
	// that has been given a processor, this one would go on beyond the point.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), signal); err != nil {
		panic("a process may signal itself: " + err.Error())
	}
	if signal == syscall.SIGKILL {
		select {} // not one statement more
	}
}
