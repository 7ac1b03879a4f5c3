package pgserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tempPrefix begins the names of all throwaway folders, so that orphans are found.
const tempPrefix = "smartseller-postgres-"

// folder is the home of one server:
//
//	cluster/  PostgreSQL's data, owned by the account that the server runs as
//	password  the superuser's
//	port      where it listened last
//	log       what it said
//	lock      held by the starter as long as it lives
type folder struct {
	dir       string
	temporary bool
	lock      *os.File // nil when closed
}

func (f *folder) data() string { return filepath.Join(f.dir, "cluster") }

func (f *folder) closed() bool { return f.lock == nil }

// openFolder makes the folder, or takes one that has a server's data already.
func openFolder(dir string, who account) (*folder, error) {
	f := &folder{dir: dir, temporary: dir == ""}
	if f.temporary {
		sweep(os.TempDir())
		made, err := os.MkdirTemp("", tempPrefix)
		if err != nil {
			return nil, fmt.Errorf("make a folder for PostgreSQL: %w", err)
		}
		f.dir = made
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for PostgreSQL: %w", err)
	}
	if err := f.prepare(who); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) prepare(who account) error {
	lock, err := acquireLock(f.dir)
	if err != nil {
		return err
	}
	f.lock = lock
	if err := os.Mkdir(f.data(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a folder for PostgreSQL: %w", err)
	}
	return who.own(f.data())
}

// close gives the folder up, and removes a temporary one. The lock goes last:
// who gets it may rely on nobody using the folder.
func (f *folder) close() error {
	var err error
	if f.temporary {
		err = os.RemoveAll(f.dir)
	}
	if f.lock != nil {
		err = errors.Join(err, unlock(f.lock))
		f.lock = nil
	}
	return err
}

// acquireLock locks the folder for this process's life. The lock file gets its
// name when it is locked already, so a sweep never finds a live folder unlocked.
func acquireLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		file, err = os.CreateTemp(dir, "lock-")
	}
	if err != nil {
		return nil, fmt.Errorf("lock the folder of PostgreSQL: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process runs the PostgreSQL server in %s: %w", dir, err), file.Close())
	}
	if !fresh {
		return file, nil
	}
	// Link, unlike rename, fails if another starter was faster.
	if err := errors.Join(os.Link(file.Name(), path), os.Remove(file.Name())); err != nil {
		return nil, errors.Join(fmt.Errorf("another process runs the PostgreSQL server in %s: %w", dir, err), file.Close())
	}
	return file, nil
}

// unlock gives the lock up at once. Closing the file alone would leave the lock with
// a child that is being forked, which has the descriptor, too, until it runs its program.
func unlock(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}

// sweep removes the throwaway folders of starters that were killed. What cannot
// be removed is none of ours or is in use: neither is worth failing a start.
func sweep(parent string) {
	found, err := filepath.Glob(filepath.Join(parent, tempPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		if orphaned(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

func orphaned(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return false
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		// Killed before it got as far as the lock, or just about to get there.
		return time.Since(info.ModTime()) > 10*time.Minute
	}
	if err != nil {
		return false
	}
	defer func() { _ = unlock(lock) }()
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// superuserPassword reads the password that the folder keeps, or makes one.
// Without it every local user could become superuser, and with that run programs
// as the developer.
func (f *folder) superuserPassword(who account) (string, error) {
	path := filepath.Join(f.dir, "password")
	kept, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(kept)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read PostgreSQL's password: %w", err)
	}
	password := rand.Text()
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		return "", fmt.Errorf("keep PostgreSQL's password: %w", err)
	}
	return password, who.own(path)
}

func (f *folder) hasCluster() bool {
	_, err := os.Stat(filepath.Join(f.data(), "PG_VERSION"))
	return err == nil
}

func (f *folder) checkVersion(server int) error {
	text, err := os.ReadFile(filepath.Join(f.data(), "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("read the version of PostgreSQL's data: %w", err)
	}
	if data := strings.TrimSpace(string(text)); data != strconv.Itoa(server) {
		return fmt.Errorf("the data in %s is of PostgreSQL %s, the server is %d; install version %s, or remove the folder to begin anew",
			f.dir, data, server, data)
	}
	return nil
}

// freePort is the port that the server had before, if wanted and still free, or any free one.
func (f *folder) freePort(sameAsBefore bool) (int, error) {
	if before := f.port(); sameAsBefore && before != 0 {
		if port, err := probe(fmt.Sprintf("127.0.0.1:%d", before)); err == nil {
			return port, nil
		}
	}
	return probe("127.0.0.1:0")
}

// port is where the server listened last; 0 when that is not known.
func (f *folder) port() int {
	text, err := os.ReadFile(f.portFile())
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return port
}

func probe(address string) (int, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

func (f *folder) portFile() string { return filepath.Join(f.dir, "port") }

func (f *folder) rememberPort(port int) error {
	if err := os.WriteFile(f.portFile(), []byte(strconv.Itoa(port)), 0o600); err != nil {
		return fmt.Errorf("keep PostgreSQL's port: %w", err)
	}
	return nil
}

func (f *folder) logFile() string { return filepath.Join(f.dir, "log") }

// logTail is the end of the server's log, for errors.
func (f *folder) logTail() string {
	text, err := os.ReadFile(f.logFile())
	if err != nil {
		return "(no log)"
	}
	const most = 2000
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return strings.TrimSpace(string(text))
}
