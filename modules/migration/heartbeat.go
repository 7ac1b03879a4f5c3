package migration

import (
	"context"
	"errors"
	"time"

	"smartseller/platform/control"
)

// heartbeat renews the lease and learns what the operator wants. Losing the lease
// ends the run; not reaching the control database does not: the fencing number
// keeps this run from harm whoever else takes over.
func (x *run) heartbeat(ctx context.Context, id string, gen int64) {
	const every = 150 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		beat := tick.C
		if x.calm.Load() {
			beat = nil // the runner renews the lease
		}
		select {
		case <-ctx.Done():
			return
		case <-beat:
		case <-x.nudged:
		}
		var want Intent
		var bound int64
		ended := false
		saves := x.countSaves()
		err := x.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			m, err := readMove(tx, id, true)
			if err != nil {
				return err
			}
			if m.Gen != gen {
				return errLost
			}
			if ended = m.EndedAt != nil; ended {
				return nil
			}
			want = m.Intent
			if bound, err = paceBound(tx, m.Options); err != nil {
				return err
			}
			if until := tx.Now() + x.leaseOf(m).Microseconds(); until > m.LeaseUntil+every.Microseconds() || x.leaseOf(m) == leaseCutting {
				_, err = tx.Exec(`UPDATE moves SET lease_until = $2 WHERE id = $1`, id, until)
			}
			return err
		})
		if errors.Is(err, errLost) {
			x.cancel(errLost)
			return
		}
		if err == nil && ended { // by this run, which knows it, or learns it
			return
		}
		if err == nil {
			x.hear(want, saves)
			x.pace.bound.Store(bound)
			if x.news(want) {
				signal(x.heard)
			}
		}
	}
}

// signal never waits: one signal that was not taken yet is enough.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// handBack lets another instance take the move at once.
func (x *run) handBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := x.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE moves SET lease_until = 0, owner = '' WHERE id = $1 AND gen = $2`, x.m.ID, x.m.Gen)
		return err
	})
	if err != nil {
		x.log.WarnContext(ctx, "a lease could not be handed back; it runs out by itself", "move", x.m.ID, "error", err)
	}
}
