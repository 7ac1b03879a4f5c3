package migration

import (
	"context"
	"fmt"

	"smartseller/platform/control"
)

// endLongPauses gives paused moves up for which too many changes wait at their source:
// they are recorded there all the time, and nobody takes them away.
func (r *Runner) endLongPauses(ctx context.Context) error {
	for after := ""; ; {
		var paused []string
		err := r.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			paused = nil
			return tx.Select(&paused, `SELECT id FROM moves WHERE ended_at IS NULL AND phase = 'paused' AND intent = '' AND id > $1 ORDER BY id LIMIT $2`, after, int64(sweptAtOnce))
		})
		if err != nil || len(paused) == 0 {
			return err
		}
		for _, id := range paused {
			if err := r.endLongPause(ctx, id); err != nil {
				return err
			}
		}
		after = paused[len(paused)-1]
	}
}

func (r *Runner) endLongPause(ctx context.Context, id string) error {
	var m *Move
	if err := r.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		m, err = readMove(tx, id, false)
		return err
	}); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, sweepPatience)
	defer cancel()
	source, release, err := r.stores.Acquire(asking, m.Source)
	if err != nil {
		return ctx.Err() // its place is away: nothing is written there either
	}
	defer release()
	n, err := source.Backlog(asking)
	if err != nil || n <= r.longestLag {
		return ctx.Err()
	}
	r.log.ErrorContext(ctx, "a paused move is given up: too many changes wait for it", "move", id, "storefront", m.Storefront, "changes", n)
	return r.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		m, err := readMove(tx, id, true)
		if err != nil || m.Phase != Paused || m.Intent != NoIntent {
			return err
		}
		m.Intent, m.Cause = WantCancel, fmt.Sprintf("it was paused for so long that %d changes waited for it", n)
		m.Advice = "The storefront is where it was, and nothing was cut over. Start the move again, when it may run to its end."
		if err := writeMove(tx, m); err != nil {
			return err
		}
		return addEvent(tx, id, "pause_ended", map[string]any{"changes": n})
	})
}
