package migration

import (
	"context"
	"errors"
	"slices"

	"smartseller/platform/control"
)

// EventYield is the kind of the event that a move was told to make way for an upgrade.
const EventYield = "yield"

// errYield ends a move that is in the way of an upgrade.
var errYield = &mismatchError{"a newer program was started and upgrades the storefront's place, and what an older one copied would not be equal to that; nothing was cut over: start the move again"}

// makeWay tells moves that an older program began, wherever they are run, to end before
// they cut over: the places that they hold cannot be upgraded before, and customers wait
// for that, also those of other storefronts in the same database. One that is being prepared and
// that nobody runs has nothing at its places that could not be upgraded: this program takes it.
func (r *Runner) makeWay(ctx context.Context) error {
	var inTheWay []string
	err := r.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		inTheWay = nil
		return tx.Select(&inTheWay, `SELECT id FROM moves WHERE ended_at IS NULL AND tenant_migrations BETWEEN 1 AND $1 AND cut <> 'committed'
			AND (phase IN ('copying', 'catching_up', 'verifying', 'cutting_over', 'paused') OR phase = 'preparing' AND lease_until >= $2)
			AND intent NOT IN ('cancel', 'yield') ORDER BY id`, r.tenantMigrations-1, tx.Now())
	})
	for _, id := range inTheWay {
		err = errors.Join(err, r.askToYield(ctx, id))
	}
	return err
}

// holdsSchema says that both places must keep their schema until the move has cut over.
func (m *Move) holdsSchema() bool {
	return m.Cut != Committed && slices.Contains([]Phase{Preparing, Copying, CatchingUp, Verifying, CuttingOver, Paused}, m.Phase)
}

func (r *Runner) askToYield(ctx context.Context, id string) error {
	return r.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		m, err := readMove(tx, id, true)
		if err != nil || !m.holdsSchema() || m.Intent == WantCancel || m.Intent == WantYield {
			return err
		}
		m.Intent = WantYield
		if err := writeMove(tx, m); err != nil {
			return err
		}
		return addEvent(tx, id, EventYield, map[string]any{"tenant_migrations": r.tenantMigrations})
	})
}
