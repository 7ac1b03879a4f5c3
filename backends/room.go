package backends

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// Room is what a backend holds and may still take, in bytes; negative: that cannot
// be known.
type Room struct {
	Free, Used int64
	// Capacity is what an operator said that the backend may hold; 0: nothing was said.
	Capacity int64
	How      string // how Free was found, or why it cannot be
}

// UnknownRoom is what is said of a backend that could not be asked.
var UnknownRoom = Room{Free: -1, Used: -1, How: "the backend could not be asked"}

// FreeOnDisk is how many bytes the file system that holds a path has left for this process.
func FreeOnDisk(path string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// Within is the room that is left under a capacity, where that is less than the disk has.
func (r Room) Within(capacity int64) Room {
	r.Capacity = capacity
	if capacity <= 0 || r.Used < 0 {
		return r
	}
	if left := max(0, capacity-r.Used); r.Free < 0 || left < r.Free {
		r.Free, r.How = left, fmt.Sprintf("of a capacity of %d MiB, %d MiB are taken", capacity>>20, r.Used>>20)
	}
	return r
}

// Room says how much room a backend has: on its disk, where that can be seen, or of
// the capacity that an operator set, whichever is less.
func (d *Directory) Room(ctx context.Context, name string) (Room, error) {
	b, err := d.Backend(ctx, name)
	if err != nil {
		return UnknownRoom, err
	}
	room, err := b.Room(ctx)
	if err != nil {
		return UnknownRoom, err
	}
	var capacity int64
	err = d.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		return tx.Get(&capacity, `SELECT capacity_bytes FROM backends WHERE name = $1`, name)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoBackend
	}
	return room.Within(capacity), err
}

// ReadCapacities reads how many bytes operators said that backends may hold; those of which
// nothing was said are not in it.
func ReadCapacities(tx control.Tx) (map[string]int64, error) {
	var rows []struct {
		Name  string `db:"name"`
		Bytes int64  `db:"capacity_bytes"`
	}
	err := tx.Select(&rows, `SELECT name, capacity_bytes FROM backends WHERE capacity_bytes > 0`)
	capacities := make(map[string]int64, len(rows))
	for _, r := range rows {
		capacities[r.Name] = r.Bytes
	}
	return capacities, err
}

// SetCapacity says how many bytes a Postgres backend may hold, all its databases
// together; 0 takes that back. A folder of files has what its file system has.
func (d *Directory) SetCapacity(ctx context.Context, name string, bytes int64) error {
	b, err := d.Backend(ctx, name)
	if err != nil {
		return err
	}
	if b.Measured() {
		return fault.New(fault.Conflict, "capacity_known", "The room of backend %s is what its file system has left, which is seen, and needs no word of yours.", name)
	}
	return d.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		n, err := tx.Exec(`UPDATE backends SET capacity_bytes = $2 WHERE name = $1`, name, bytes)
		if err == nil && n == 0 { // it was removed a moment ago
			err = ErrNoBackend
		}
		return err
	})
}
