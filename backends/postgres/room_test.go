package postgres

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestRoom: what the databases take is known wherever the server runs. These servers
// get their folder by an open file, a path that leads elsewhere in this process: then
// nothing is claimed about their disk.
func TestRoom(t *testing.T) {
	t.Parallel()
	owner, err := Open(pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, owner.Close()) })
	room, err := Room(context.Background(), owner)
	require.NoError(t, err)
	require.Positive(t, room.Used)
	require.EqualValues(t, -1, room.Free, "%+v", room)
	require.Contains(t, room.How, "cannot be seen from this program")
	require.EqualValues(t, 1<<20, room.Within(room.Used+1<<20).Free)
	require.Zero(t, room.Within(1).Free)
	require.False(t, onThisMachine(1, 1), "the title of another process names another client")
}

func TestDiskIsTheServersOwn(t *testing.T) {
	t.Parallel()
	own, folder := int64(os.Getpid()), t.TempDir()
	require.True(t, ownedBy(own, folder))
	require.False(t, ownedBy(own, filepath.Join(folder, "elsewhere")))
	free, err := backends.FreeOnDisk(folder)
	require.NoError(t, err)
	require.Positive(t, free)
}
