package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"smartseller/backends"
)

// Holders implements sqlstore.Dialect. SQLite does not say who holds the write lock; the
// kernel says which process does.
func (d *dialect) Holders(ctx context.Context, _ backends.StorefrontID) ([]backends.Holder, error) {
	s, err := d.begin(ctx, d.db.Writer, time.Millisecond, false)
	if errors.Is(err, errWaited) {
		return []backends.Holder{{Session: "a write transaction on the storefront's file, in " + d.writing()}}, nil
	}
	if err != nil {
		return nil, err
	}
	_ = s.Rollback()
	s.Release(nil)
	return nil, nil
}

// writing names the process that writes to the file, as well as can be told.
func (d *dialect) writing() string {
	const unknown = "this process or in another one on this host"
	log, err := identify(d.db.Path + "-shm")
	if err != nil {
		return unknown
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return unknown // it is Linux that has this
	}
	defer locks.Close()
	switch pid := writerOf(locks, log); pid {
	case 0:
		return unknown
	case os.Getpid():
		return "this process"
	default:
		return fmt.Sprintf("process %d%s on this host", pid, named(pid))
	}
}

// writeLock is the byte of the -shm file whose lock makes a process the one that
// writes; see "WAL-mode File Format" of SQLite's documentation. The file is not opened:
// to close it again would give up this process's own locks on it.
const writeLock = 120

// writerOf finds the write lock's owner among the kernel's locks, proc_locks(5); 0 when
// nobody's is there.
func writerOf(locks io.Reader, shm identity) int {
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(shm.device), unix.Minor(shm.device), shm.inode)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 8 || f[3] != "WRITE" || f[5] != file {
			continue
		}
		begin, _ := strconv.Atoi(f[6])
		end, err := strconv.Atoi(f[7])
		pid, _ := strconv.Atoi(f[4])
		if err == nil && begin <= writeLock && writeLock <= end && pid > 0 {
			return pid
		}
	}
	return 0
}

// named is a process's name in brackets, where it can be read.
func named(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return " (" + strings.TrimSpace(string(name)) + ")"
}
