package planning_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
)

// TestANotNowThatBeginsBehindTheWord: what a plan let cut over, and has not begun to, waits
// for the seller. An operator who says so then does it in spite of that.
func TestANotNowThatBeginsBehindTheWord(t *testing.T) { onBoth(t, notNowBehindTheWord) }

func notNowBehindTheWord(t *testing.T, w *world) {
	ctx := context.Background()
	let := newGate()
	w.options.Hook = func(ctx context.Context, point string) error {
		if point == "K7" {
			return let.pass(ctx)
		}
		return nil
	}
	w.mover()
	w.run(t)
	s := w.scheduler(t, "one")
	p := w.plan(t, planning.NewPlan{Moves: w.fleet(t, 1), Options: planning.PlanOptions{AtOnce: true}, Automatic: true})
	moves := w.until(t, p, func(*planning.Plan, []planning.PlanMove) bool { return len(let.reached) > 0 }, s)
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`INSERT INTO blackouts (id, storefront_id, begins_at, ends_at, reason) SELECT id, id, $1, $2, 'sale' FROM storefronts`,
			tx.Now(), tx.Now()+time.Hour.Microseconds())
		return err
	}))
	close(let.open)
	var held *migration.Move
	require.Eventually(t, func() bool {
		var err error
		held, err = w.moves.Get(ctx, moves[0].Move)
		require.NoError(t, err)
		return held.Intent == migration.NoIntent
	}, patience, glance)
	require.Equal(t, migration.Verifying, held.Phase)
	events, err := w.moves.Events(ctx, held.ID, 0, 1000)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(events, func(e migration.Event) bool {
		return e.Kind == "taken_back" && strings.Contains(e.Data, "the seller wants no move now")
	}))
	_, err = w.moves.Ask(ctx, held.ID, migration.WantCutover)
	require.NoError(t, err)
	w.until(t, p, moveIs(1, planning.Moved), s)
}
