package migration

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
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

// TestWhatAnotherHostHasIsAskedThere: to look at it from here is refused with where to ask, and
// nobody is sent to start what runs.
func TestWhatAnotherHostHasIsAskedThere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	here, err := os.Hostname()
	require.NoError(t, err)
	there := here + "-not"
	require.NoError(t, i.directory.Register(ctx, backends.Config{Name: "far", Kind: backends.SQLite, Path: t.TempDir(), Host: there}))
	near, remote := i.storefront(t, 1), backends.StorefrontID(ids.New())
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		return i.directory.Settle(tx, backends.Placement{Place: backends.Place{Backend: "far", Storefront: remote, Epoch: 1}, Epoch: 1})
	}))
	for storefront, target := range map[backends.StorefrontID]string{near: "far", remote: "two"} {
		_, err := i.service.DryRun(ctx, Request{Storefront: storefront, Target: target})
		require.Equal(t, "place_elsewhere", fault.Of(err).Code, target)
		require.Contains(t, fault.Of(err).Detail, "The files of far live on host "+there+", this is "+here+": ask a server there")
	}
	m := startTo(t, i, remote, "two", Options{})
	e, err := i.service.Explain(ctx, m.ID)
	require.NoError(t, err)
	at := slices.IndexFunc(e.Waits, func(w Wait) bool { return w.For == "backend" })
	require.GreaterOrEqual(t, at, 0, "%+v", e.Waits)
	require.Equal(t, "ask a server on host "+there, e.Waits[at].Todo)
}
