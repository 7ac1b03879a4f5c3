package planning_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration/planning"
)

// TestATargetThatVanishes while its plan is made: none is made. One that was registered anew
// meanwhile is a target like any other.
func TestATargetThatVanishes(t *testing.T) { onBoth(t, aTargetVanishes) }

func aTargetVanishes(t *testing.T, w *world) {
	ctx := context.Background()
	wanted := planning.NewPlan{Moves: w.fleet(t, 2)}
	remove := func() { require.NoError(t, w.directory.Remove(ctx, "two", false)) }
	_, err := w.service.CreateBehind(ctx, wanted, remove)
	require.ErrorIs(t, err, backends.ErrNoBackend)
	plans, err := w.service.Plans(ctx, "", 10)
	require.NoError(t, err)
	require.Empty(t, plans)
	again := func() {
		require.NoError(t, w.directory.Register(ctx, backends.Config{Name: "two", Kind: backends.SQLite, Path: t.TempDir()}))
	}
	again()
	p, err := w.service.CreateBehind(ctx, wanted, func() { remove(); again() })
	require.NoError(t, err)
	require.EqualValues(t, 2, p.Total)
	require.ErrorContains(t, w.directory.Remove(ctx, "two", false), "where a plan moves some (2 in all)")
}
