package migration

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAWatchedMoveRestsAndWakes: while nothing happens it holds no store open, and what is
// asked of it, through another instance, wakes it from whatever long rest.
func TestAWatchedMoveRestsAndWakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.instance(t, nil), w.instance(t, nil)
	for _, i := range []*instance{one, two} {
		i.runner.watchLeast, i.runner.watchMost = time.Hour, time.Hour
	}
	id := one.storefront(t, 10)
	m := start(t, one, id, Options{WindowSeconds: 24 * 3600})
	m = one.waitFor(t, m.ID, Watching)
	owner, other := one, two
	if m.Owner == two.runner.instance {
		owner, other = two, one
	}
	require.Eventually(t, func() bool {
		usage := owner.stores.Usage()
		return usage["one"].Busy+usage["two"].Busy == 0
	}, waitLong, waitStep, "it holds its stores")
	put(t, other, id, "written while it rests")
	ask(t, other, m.ID, WantRollback)
	other.waitFor(t, m.ID, RolledBack)
	var kept int64
	require.NoError(t, other.router.Get(context.Background(), id, &kept, readCell, "written while it rests"))
	require.EqualValues(t, 1, kept)
}
