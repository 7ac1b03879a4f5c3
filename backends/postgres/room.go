package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"smartseller/backends"
)

// Room measures what the databases of a server take, and the disk below them where
// the server runs on this machine. From elsewhere nobody can see its disk.
func Room(ctx context.Context, admin *sql.DB) (backends.Room, error) {
	room := backends.UnknownRoom
	var pid, port int64
	var folder string
	err := admin.QueryRowContext(ctx, `SELECT
			(SELECT COALESCE(sum(pg_database_size(oid)), 0)::bigint FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')),
			pg_backend_pid(), COALESCE(inet_client_port(), -1),
			COALESCE(NULLIF(pg_tablespace_location(d.dattablespace), ''), (SELECT setting FROM pg_settings WHERE name = 'data_directory'), '')
		FROM pg_database d WHERE d.datname = current_database()`).Scan(&room.Used, &pid, &port, &folder)
	if err != nil {
		return backends.UnknownRoom, classify(err)
	}
	switch {
	case folder == "":
		room.How = "the administrator's role may not ask where the server keeps its data"
	case !onThisMachine(pid, port):
		room.How = "the server's disk cannot be seen from this machine"
	case !ownedBy(pid, folder):
		room.How = "the folder of the server's data cannot be seen from this program"
	default:
		if room.Free, err = backends.FreeOnDisk(folder); err != nil {
			return room, err
		}
		room.How = "on the server's disk"
	}
	return room, nil
}

// onThisMachine says whether the process that serves a connection runs here. It writes
// whom it serves into its title; the number of a process elsewhere may be in use
// here as well, but not by one with the same client.
func onThisMachine(pid, port int64) bool {
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	client := "[local]"
	if port >= 0 {
		client = fmt.Sprintf("(%d)", port)
	}
	return err == nil && strings.HasPrefix(string(title), "postgres") && strings.Contains(string(title), client)
}

// ownedBy says whether a path leads here to a folder of the user that a process runs
// as. What a path leads to in a container, or below /proc, is another thing for us.
func ownedBy(pid int64, path string) bool {
	var process, folder unix.Stat_t
	err := errors.Join(unix.Stat(fmt.Sprintf("/proc/%d", pid), &process), unix.Stat(path, &folder))
	return err == nil && folder.Mode&unix.S_IFMT == unix.S_IFDIR && folder.Uid == process.Uid
}
