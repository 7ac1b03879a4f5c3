package migration

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"smartseller/backends"
	"smartseller/platform/testtable"
)

// mountsVariable tells a run of this test binary that it has mounts of its own, which
// end with it.
const mountsVariable = "MIGRATION_MOUNTS"

// TestDisks: the disk of the target is full, for a while or for good, or can only be
// read. The disks are small ones in memory that nobody else sees.
func TestDisks(t *testing.T) {
	t.Parallel()
	if os.Getenv(mountsVariable) != "" {
		var seen faultTable
		t.Cleanup(func() { testtable.Show(t, seen.String()) })
		for name, test := range map[string]func(*testing.T, *faultTable){
			"a file's disk": fileDisk, "a server's disk": serverDisk, "a file's disk that can only be read": readOnlyDisk,
		} {
			t.Run(name, func(t *testing.T) { test(t, &seen) })
		}
		return
	}
	self := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDisks$", "-test.v", "-test.timeout=10m")
	self.Env = append(os.Environ(), mountsVariable+"=1")
	self.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if me := os.Getuid(); me != 0 {
		self.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUSER, AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
			UidMappings: []syscall.SysProcIDMap{{ContainerID: me, HostID: me, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		}
	}
	out, err := self.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("no small disk can be mounted to be filled (%v): run the tests as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1", err)
	}
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// disk is a small one.
type disk struct {
	t      *testing.T
	folder string
}

func newDisk(t *testing.T, folder string, bytes int) disk {
	require.NoError(t, os.MkdirAll(folder, 0o755))
	require.NoError(t, unix.Mount("tmpfs", folder, "tmpfs", 0, "mode=0755,size="+strconv.Itoa(bytes)))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(folder, unix.MNT_DETACH)) })
	return disk{t, folder}
}

func (d disk) filler() string { return filepath.Join(d.folder, "filler") }

// fill leaves no room.
func (d disk) fill() {
	f, err := os.Create(d.filler())
	require.NoError(d.t, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 1<<12))
	}
	require.ErrorIs(d.t, err, unix.ENOSPC)
}

func (d disk) empty() { require.NoError(d.t, os.Remove(d.filler())) }

func fileDisk(t *testing.T, seen *faultTable) {
	w := newWorld(t)
	w.ear = &ear{}
	at := &stage{}
	d := newDisk(t, filepath.Join(w.folder, "two"), 32<<20)
	i := w.instance(t, at.hook)
	v := victim{name: "target", from: "one", to: "two"}
	full := func(backends.StorefrontID) { d.fill() }
	row := v.suffer(t, w, i, at, outage{point: "K4", rows: 8000, ends: Watching, serves: true}, full, d.empty)
	row.fault = "target's disk full, a file, for a while"
	seen.add(row)

	i.runner.tolerance = time.Second
	row = v.suffer(t, w, i, at, outage{point: "K4", rows: 8000, ends: Failed, serves: true, cause: "full"}, full, func() {})
	row.fault = "target's disk full, a file, for good"
	seen.add(row)
	d.empty()
}

// serverDisk is a server whose databases lie on the small disk, its log elsewhere.
func serverDisk(t *testing.T, seen *faultTable) {
	d := newDisk(t, "/mnt", 96<<20)
	server := startServer(t)
	db, err := sql.Open("postgres", server.AdminDSN())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	var process int
	require.NoError(t, db.QueryRow(`SELECT pg_backend_pid()`).Scan(&process))
	owner, err := os.Stat("/proc/" + strconv.Itoa(process)) // the server's account
	require.NoError(t, err)
	space := filepath.Join(d.folder, "space")
	require.NoError(t, os.Mkdir(space, 0o700))
	require.NoError(t, os.Chown(space, int(owner.Sys().(*syscall.Stat_t).Uid), int(owner.Sys().(*syscall.Stat_t).Gid)))
	for _, text := range []string{`CREATE TABLESPACE small LOCATION '` + space + `'`, `CREATE DATABASE small TABLESPACE small`} {
		_, err := db.Exec(text)
		require.NoError(t, err)
	}
	w := newWorld(t)
	w.ear = &ear{}
	w.own.admin, w.own.app = server.DSN("small", "postgres"), server.DSN("small", "app")
	at := &stage{}
	i := w.instance(t, at.hook)
	row := victim{name: "target", from: "one", to: "own"}.suffer(t, w, i, at, outage{point: "K4", rows: 8000, ends: Watching, serves: true},
		func(backends.StorefrontID) { d.fill() }, d.empty)
	row.fault = "target's disk full, a server, for a while"
	seen.add(row)
}

func readOnlyDisk(t *testing.T, seen *faultTable) {
	w := newWorld(t)
	d := newDisk(t, filepath.Join(w.folder, "two"), 32<<20)
	i := w.instance(t, nil)
	i.runner.tolerance = time.Second
	id := i.storefront(t, 50)
	require.NoError(t, unix.Mount("", d.folder, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	s := scene{startLoad(id, i.router), t}
	m := i.waitFor(t, startTo(t, i, id, "two", Options{}).ID, Failed)
	require.Contains(t, m.Cause, "read-only")
	s.writes()
	s.outweigh()
	s.check(t, i.router)
	seen.add(faultRow{fault: "target's disk can only be read", point: "the start", meanwhile: "served", longest: s.longest, ended: m.Phase, cause: m.Cause})
}
