package migration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/database"
	"smartseller/platform/testtable"
)

// holderVariable turns a run of this test binary into a process that holds the write
// lock of the SQLite file it names until its input ends.
const holderVariable = "MIGRATION_FILE_HOLDER"

func holdFile(path string) {
	db, err := database.OpenSQLite(context.Background(), path, database.SQLiteOptions{})
	if err == nil {
		_, err = db.Writer.Begin() // IMMEDIATE
	}
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("held\n")
	_, _ = io.ReadAll(os.Stdin)
	os.Exit(0)
}

// holder starts such a process and waits until it has the lock.
func holder(t *testing.T, path string) (pid int, letGo func()) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), holderVariable+"="+path)
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held\n", line)
	return c.Process.Pid, func() {
		require.NoError(t, in.Close())
		require.NoError(t, c.Wait())
	}
}

func (w *world) file(backend string, id backends.StorefrontID, epoch string) string {
	return filepath.Join(w.folder, backend, string(id), epoch+".db")
}

// TestFilesGoBad: the file of a place is locked by another process until the mover has
// noticed, or is gone for good.
func TestFilesGoBad(t *testing.T) {
	t.Parallel()
	var seen faultTable
	t.Cleanup(func() { testtable.Show(t, seen.String()) })
	for name, f := range map[string]struct {
		outage
		begin func(t *testing.T, w *world, id backends.StorefrontID) (end func())
	}{
		"source's file locked by a process": {outage{point: "K3", ends: Watching}, func(t *testing.T, w *world, id backends.StorefrontID) func() {
			_, letGo := holder(t, w.file("one", id, "1"))
			return letGo
		}},
		"target's file locked by a process": {outage{point: "K4", ends: Watching, serves: true}, func(t *testing.T, w *world, id backends.StorefrontID) func() {
			_, letGo := holder(t, w.file("two", id, "2"))
			return letGo
		}},
		"target's file removed": {outage{point: "K4", ends: Failed, serves: true, cause: "the place does not exist"}, func(t *testing.T, w *world, id backends.StorefrontID) func() {
			require.NoError(t, os.Remove(w.file("two", id, "2")))
			return func() {}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.ear = &ear{}
			at := &stage{}
			i := w.instance(t, at.hook)
			var end func()
			row := victim{name: name, from: "one", to: "two"}.suffer(t, w, i, at, f.outage,
				func(id backends.StorefrontID) { end = f.begin(t, w, id) }, func() { end() })
			row.fault = name
			seen.add(row)
		})
	}
}

// TestALockedFileIsATrouble that is told, and names who has it, however long the move waits; it
// goes on when that one ends.
func TestALockedFileIsATrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := &stage{}
	i := w.instance(t, at.hook)
	i.runner.tolerance = time.Second
	id := i.storefront(t, 600)
	at.set("K3")
	m := startTo(t, i, id, "two", Options{})
	happens(t, at.reached, "a mover at K3")
	pid, letGo := holder(t, w.file("two", id, "2"))
	close(at.goOn)
	i.explains(t, m.ID, Copying, "trouble", fmt.Sprintf("held by a transaction in process %d", pid))
	letGo()
	m = i.waitFor(t, m.ID, Watching)
	require.Nil(t, m.Stats.Trouble)
}

// takeAway puts a file where a folder is: what is in that cannot be reached, and nobody
// takes it for gone.
func takeAway(t *testing.T, folder string) (putBack func()) {
	t.Helper()
	require.NoError(t, os.Rename(folder, folder+".away"))
	require.NoError(t, os.WriteFile(folder, nil, 0o600))
	return func() {
		t.Helper()
		require.NoError(t, os.Remove(folder))
		require.NoError(t, os.Rename(folder+".away", folder))
	}
}
