package planning

import (
	"context"

	"smartseller/modules/migration"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// errElsewhere: what the plan was made for is not so any more.
var errElsewhere = fault.New(fault.Conflict, "moved_since", "The storefront was moved from where it was when the plan was made.")

// comesBack is the condition that a move brings its storefront back: it was told to, or is a
// drill, which does so by itself unless that was refused once.
const comesBack = `(m.phase = 'rolling_back' OR m.intent = 'rollback' OR m.options LIKE '%"mode":"drill"%' AND m.cause = '' AND m.stats NOT LIKE '%"rollback_refused":%')`

// leaveOut skips what waits of storefronts that are not any more where the plan would take them
// from. Whoever moved one may still roll it back, for a month perhaps: no later wave waits for
// that, and one that is rolled back behind this takes a new plan. One that comes back already
// keeps its turn.
func (s *Scheduler) leaveOut(ctx context.Context, p *Plan) error {
	var found []struct {
		Seq   int64 `db:"seq"`
		There bool  `db:"there"`
	}
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		found = nil
		return tx.Select(&found, `SELECT p.seq, h.backend = p.target AS there FROM plan_moves p JOIN placements h ON h.storefront_id = p.storefront_id
			WHERE p.plan_id = $1 AND p.state = 'waiting' AND h.backend <> p.source
				AND NOT EXISTS (SELECT 1 FROM moves m WHERE m.storefront_id = p.storefront_id AND m.ended_at IS NULL AND `+comesBack+`) ORDER BY p.seq LIMIT $2`, p.ID, int64(lookAt))
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return s.update(ctx, p, func(tx control.Tx, p *Plan) error {
		for _, f := range found {
			cause := errElsewhere.Detail
			if f.There {
				cause = migration.ErrAlreadyThere.Detail
			}
			if _, err := setMove(tx, p.ID, f.Seq, Waiting, Skipped, "", cause); err != nil {
				return err
			}
		}
		return reread(tx, p)
	})
}
