package migration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestRehearsal: under load, the whole move but the commit; nothing is left of it, and
// the receipt of the move that follows shows what was forecast beside what was.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"two", "shared", "dedicated"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			i := newWideWorld(t).instance(t, nil)
			id := i.storefront(t, 500)
			l := startLoad(id, i.router)
			m := startTo(t, i, id, target, Options{Mode: Rehearsal})
			m = i.waitFor(t, m.ID, Rehearsed)
			require.Positive(t, m.Stats.StallMicros)
			require.Zero(t, m.Stats.CommittedAt)
			i.requireAt(t, id, "one", 1)
			p := backends.Place{Backend: "one", Storefront: id, Epoch: 1}
			f := fence(t, i, p)
			require.Equal(t, backends.Fence{Epoch: 1, State: backends.Active, Gen: f.Gen}, f, "the source is as it was")
			s, release, err := i.stores.Acquire(ctx, p)
			require.NoError(t, err)
			n, err := s.Backlog(ctx)
			release()
			require.NoError(t, err)
			require.Zero(t, n)
			b, err := i.directory.Backend(ctx, target)
			require.NoError(t, err)
			require.NoError(t, b.Destroy(ctx, m.Target), "which proves that nothing is left")

			next := startTo(t, i, id, target, Options{})
			i.waitFor(t, next.ID, Watching)
			ask(t, i, next.ID, WantFinalize)
			next = i.waitFor(t, next.ID, Completed)
			l.check(t, i.router)
			require.Contains(t, next.Receipt, `"forecast":{"move":"`+m.ID)
			require.Contains(t, next.Receipt, `"actual":{`)
		})
	}
}
