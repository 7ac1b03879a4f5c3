package migration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
)

// notNow sets a seller's "not now" that is in force, or (false) withdraws it.
func (i *instance) notNow(t *testing.T, id backends.StorefrontID, wanted bool) {
	t.Helper()
	require.NoError(t, i.db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
		if !wanted {
			_, err := tx.Exec(`DELETE FROM blackouts WHERE storefront_id = $1`, string(id))
			return err
		}
		_, err := tx.Exec(`INSERT INTO blackouts (id, storefront_id, begins_at, ends_at, reason) VALUES ($1, $1, $2, $3, 'sale')`, string(id), tx.Now()-1, tx.Now()+time.Hour.Microseconds())
		return err
	}))
}

// TestCutoverHeedsTheSeller: a move that is ready waits, says for what, and goes on when
// the seller withdraws, or an operator says cutover.
func TestCutoverHeedsTheSeller(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	for _, way := range []string{"withdrawn", "overruled"} {
		id := i.storefront(t, 3)
		i.notNow(t, id, true)
		m := start(t, i, id, Options{})
		require.Eventually(t, func() bool {
			e, err := i.service.Explain(ctx, m.ID)
			require.NoError(t, err)
			for _, w := range e.Waits {
				if w.For == "window" && strings.Contains(w.Detail, "the seller asked for no move until") && strings.Contains(w.Detail, `: "sale"; it stays in step`) {
					return e.Phase == Verifying
				}
			}
			return false
		}, waitLong, waitStep, way)
		i.requireAt(t, id, "one", 1)
		if way == "withdrawn" {
			i.notNow(t, id, false)
		} else {
			ask(t, i, m.ID, WantCutover)
		}
		i.waitFor(t, m.ID, Watching)
	}
}
