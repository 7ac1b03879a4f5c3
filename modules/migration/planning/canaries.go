package planning

import (
	"context"
	"time"

	"smartseller/platform/control"
)

// replaceCanaries makes canaries of the next moves that may begin where none of those
// before has come to its target, nor is on its way: each has failed within the budget, was
// there already, or has a seller who wants no move now. So no later wave begins unproved. What
// has come to its target in whichever wave is proof.
func (s *Scheduler) replaceCanaries(ctx context.Context, p *Plan, now time.Time) error {
	if p.Options.canaries() == 0 || p.lastWaits == 0 {
		return nil
	}
	needed := func(tx control.Tx) (yes bool, err error) {
		var n int64
		err = tx.Get(&n, `SELECT CASE WHEN EXISTS (SELECT 1 FROM plan_moves p LEFT JOIN moves m ON m.id = p.move_id
				WHERE p.plan_id = $1 AND (p.state IN ('moved', 'done') OR p.wave = 0 AND p.state IN ('moving', 'waiting')
					AND NOT ((p.state = 'waiting' OR COALESCE(`+stands+`, false)) AND `+barred+`))) THEN 0
			ELSE (SELECT count(*) FROM plan_moves p
				WHERE p.plan_id = $1 AND p.wave > 0 AND p.state = 'waiting' AND NOT `+barred+`) END`, p.ID, now.UnixMicro())
		return n > 0, err
	}
	var yes bool
	var at standing
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		if yes, err = needed(tx); err != nil || !yes {
			return err
		}
		at, err = readStanding(tx, p, now)
		return err
	})
	if err != nil || !yes || at.soaked.After(now) {
		return err
	}
	return s.update(ctx, p, func(tx control.Tx, p *Plan) error {
		if yes, err := needed(tx); err != nil || !yes {
			return err
		}
		if _, err := tx.Exec(`UPDATE plan_moves SET wave = 0, updated_at = $4 WHERE plan_id = $1 AND seq IN (SELECT p.seq FROM plan_moves p
			WHERE p.plan_id = $1 AND p.state = 'waiting' AND p.wave > 0 AND NOT `+barred+` ORDER BY p.seq LIMIT $3)`, p.ID, now.UnixMicro(), p.Options.canaries(), tx.Now()); err != nil {
			return err
		}
		return reread(tx, p)
	})
}
