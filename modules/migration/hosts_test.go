package migration

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestFilesOfAnotherHost: a move to or from them is left to an instance there, one that no
// instance could run is refused, and others go on.
func TestFilesOfAnotherHost(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	here, err := os.Hostname()
	require.NoError(t, err)
	for name, host := range map[string]string{"here": here, "far": here + "-not"} {
		require.NoError(t, i.directory.Register(ctx, backends.Config{Name: name, Kind: backends.SQLite, Path: t.TempDir(), Host: host}))
	}
	far, near := i.storefront(t, 1), i.storefrontOn(t, "here", 1)
	left, err := i.service.Start(ctx, Request{Storefront: far, Target: "far"})
	require.NoError(t, err)

	for range lookAtMost { // however many they are
		_, err := i.service.Start(ctx, Request{Storefront: i.storefront(t, 1), Target: "far"})
		require.NoError(t, err)
	}

	refused := func(answer error) {
		t.Helper()
		require.ErrorContains(t, answer, "hosts_apart")
		require.ErrorContains(t, answer, "The files of here are on host "+here)
	}
	_, err = i.service.Start(ctx, Request{Storefront: near, Target: "far"})
	refused(err)
	_, err = i.service.DryRun(ctx, Request{Storefront: near, Target: "far"})
	refused(err)

	m := startTo(t, i, near, "one", Options{})
	i.waitFor(t, m.ID, Watching)
	left, err = i.service.Get(ctx, left.ID)
	require.NoError(t, err)
	require.Equal(t, Planned, left.Phase)
	require.Empty(t, left.Owner)
	i.requireAt(t, far, "one", 1)
}
