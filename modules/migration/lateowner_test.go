package migration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestALateOwnerErasesItsOwnPlaceAlone: an instance that was stopped while it erased what
// its move had made goes on when another move has brought the storefront to that backend.
func TestALateOwnerErasesItsOwnPlaceAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, target := range []string{"two", "dedicated"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			i := newWideWorld(t).instance(t, nil)
			s := newScene(t, i, "one")
			rehearsed := startTo(t, i, s.storefront, target, Options{Mode: Rehearsal})
			i.waitFor(t, rehearsed.ID, Rehearsed)
			m := startTo(t, i, s.storefront, target, Options{})
			i.waitFor(t, m.ID, Watching)
			s.put(i, hotCell)

			b, err := i.directory.Backend(ctx, target)
			require.NoError(t, err)
			require.NoError(t, b.Destroy(ctx, rehearsed.Target), "which is all that was left to do")
			require.NotEqual(t, rehearsed.Target, m.Target)
			s.put(i, slowCell)
			ask(t, i, m.ID, WantRollback)
			i.waitFor(t, m.ID, RolledBack)
			require.NoError(t, s.verdict(i.router))
		})
	}
}
