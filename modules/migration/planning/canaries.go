package planning

import (
	"context"
	"time"

	"smartseller/platform/control"
)

// replaceCanaries makes canaries of the next moves that may begin where none of those
// before has come to its target, nor is on its way: each has failed within the budget, was
// there already, or has a seller who wants no move now. So no later wave begins unproved.
func (s *Scheduler) replaceCanaries(ctx context.Context, p *Plan, now time.Time) error {
	if p.Options.canaries() == 0 || p.lastWaits == 0 {
		return nil
	}
	proved := func(tx control.Tx) (n int64, err error) {
		err = tx.Get(&n, `SELECT count(*) FROM plan_moves p LEFT JOIN blackouts b ON b.storefront_id = p.storefront_id
			WHERE p.plan_id = $1 AND p.wave = 0 AND (p.state IN ('moving', 'moved', 'done') OR p.state = 'waiting' AND NOT `+barred+`)`, p.ID, now.UnixMicro())
		return n, err
	}
	var n int64
	var at standing
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		if n, err = proved(tx); err != nil || n > 0 {
			return err
		}
		at, err = readStanding(tx, p, now)
		return err
	})
	if err != nil || n > 0 || at.soaked.After(now) {
		return err
	}
	return s.update(ctx, p, func(tx control.Tx, p *Plan) error {
		if n, err := proved(tx); err != nil || n > 0 {
			return err
		}
		if _, err := tx.Exec(`UPDATE plan_moves SET wave = 0, updated_at = $4 WHERE plan_id = $1 AND seq IN (SELECT p.seq FROM plan_moves p LEFT JOIN blackouts b ON b.storefront_id = p.storefront_id
			WHERE p.plan_id = $1 AND p.state = 'waiting' AND p.wave > 0 AND NOT `+barred+` ORDER BY p.seq LIMIT $3)`, p.ID, now.UnixMicro(), p.Options.canaries(), tx.Now()); err != nil {
			return err
		}
		fresh, err := readPlan(tx, p.ID, false)
		if err == nil {
			*p = *fresh
		}
		return err
	})
}
