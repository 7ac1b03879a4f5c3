package backends_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// TestMarkFolder: a folder keeps the first name that it is given, whoever gives it.
func TestMarkFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	names := make([]string, 8)
	var all sync.WaitGroup
	for n := range names {
		all.Go(func() {
			var err error
			names[n], err = backends.MarkFolder(folder)
			require.NoError(t, err)
		})
	}
	all.Wait()
	require.True(t, ids.Valid(names[0]))
	for _, name := range names {
		require.Equal(t, names[0], name)
	}
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, left, 1, "no draft")
	require.NoError(t, backends.CheckMarker(folder, names[0]))
	require.ErrorIs(t, backends.CheckMarker(folder, ids.New()), backends.ErrOtherFolder)
	require.ErrorIs(t, backends.CheckMarker(t.TempDir(), names[0]), backends.ErrOtherFolder)
	require.NoError(t, backends.CheckMarker(t.TempDir(), ""), "registered before there were names")
}

// TestRegisteringAMarkedFolder: the name is noted for a backend that was registered without one,
// and another folder under the same path is refused.
func TestRegisteringAMarkedFolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	cfg := backends.Config{Name: "files", Kind: backends.SQLite, Path: w.folder}
	var err error
	cfg.Marker, err = backends.MarkFolder(w.folder)
	require.NoError(t, err)
	require.NoError(t, w.directory.Register(ctx, cfg))
	found, err := w.directory.Configs(ctx)
	require.NoError(t, err)
	require.Equal(t, []backends.Config{cfg}, found)

	marked := filepath.Join(w.folder, ".smartseller-folder")
	require.NoError(t, os.Remove(marked))
	require.ErrorContains(t, backends.CheckMarker(w.folder, cfg.Marker), "should say "+cfg.Marker, "so that it can be written again")
	cfg.Marker, err = backends.MarkFolder(w.folder)
	require.NoError(t, err)
	err = w.directory.Register(ctx, cfg)
	require.Equal(t, fault.Conflict, fault.Of(err).Kind)
	require.Contains(t, fault.Of(err).Detail, "mount its disk")
}

// TestMarkingAnEmptyMountPoint: a backend that was registered without a name gets none from a folder
// that has none of its storefronts.
func TestMarkingAnEmptyMountPoint(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	id := w.storefront(t)
	require.NoError(t, os.Rename(w.folder, w.folder+".unmounted"))
	require.NoError(t, os.Mkdir(w.folder, 0o700))
	cfg := backends.Config{Name: "files", Kind: backends.SQLite, Path: w.folder}
	var err error
	cfg.Marker, err = backends.MarkFolder(w.folder)
	require.NoError(t, err)
	require.Equal(t, fault.Conflict, fault.Of(w.directory.Register(ctx, cfg)).Kind)

	require.NoError(t, os.RemoveAll(w.folder))
	require.NoError(t, os.Rename(w.folder+".unmounted", w.folder))
	cfg.Marker, err = backends.MarkFolder(w.folder)
	require.NoError(t, err)
	require.NoError(t, w.directory.Register(ctx, cfg))
	require.NoError(t, w.visit(id))
}
