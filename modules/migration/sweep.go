package migration

import (
	"context"
	"errors"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

const (
	sweepEvery    = time.Minute
	sweepPatience = time.Minute // for one place
	sweptAtOnce   = 100
)

// sweep does, now and then, what no move under way does. Places that are away may hold up
// the first for long, and must not hold up the others.
func (r *Runner) sweep(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { r.nowAndThen(ctx, r.eraseLeft, "what moves left behind was not looked at") })
	all.Go(func() { r.nowAndThen(ctx, r.freeSources, "sources that moves ended without were not looked at") })
	all.Go(func() { r.nowAndThen(ctx, r.endLongPauses, "what paused moves hold up was not looked at") })
	all.Go(func() {
		r.nowAndThen(ctx, func(ctx context.Context) error { return r.forgetStories(ctx, storiesKept) }, "the stories of old moves were not forgotten")
	})
	all.Wait()
}

func (r *Runner) nowAndThen(ctx context.Context, do func(context.Context) error, complaint string) {
	tick := time.NewTicker(r.sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := do(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, complaint, "error", err)
		}
	}
}

// storiesKept is for how long a move's events and checkpoints are kept after its end. Its
// row, with what it measured and its receipt, stays.
const storiesKept = 90 * 24 * time.Hour

// forgetStories forgets the events and checkpoints of moves that ended so long ago, some
// moves at a time. Ids of moves grow with time, so that it ends at the first one that is
// younger.
func (r *Runner) forgetStories(ctx context.Context, kept time.Duration) error {
	after := ""
	for range sweptAtOnce {
		more := false
		err := r.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			var found []struct {
				ID      string `db:"id"`
				Created int64  `db:"created_at"`
				Ended   *int64 `db:"ended_at"`
			}
			more = false
			err := tx.Select(&found, `SELECT id, created_at, ended_at FROM moves
				WHERE id = (SELECT min(move_id) FROM move_events WHERE move_id > $1)`, after)
			before := tx.Now() - kept.Microseconds()
			if err != nil || len(found) == 0 || found[0].Created >= before {
				return err
			}
			m := found[0]
			if more = true; m.Ended == nil || *m.Ended >= before {
				after = m.ID
				return nil
			}
			if _, err := tx.Exec(`DELETE FROM move_checkpoints WHERE move_id = $1`, m.ID); err != nil {
				return err
			}
			_, err = tx.Exec(`DELETE FROM move_events WHERE move_id = $1`, m.ID)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// eraseLeft erases the places that moves left behind because they were out of reach. Any
// number of instances may do so side by side. Of a backend that does not answer one place
// is tried.
func (r *Runner) eraseLeft(ctx context.Context) error {
	away := map[string]bool{}
	return r.eachEnded(ctx, "left_behind <> ''", func(id string) error { return r.eraseLeftOf(ctx, id, away) })
}

// eachEnded does something about each move that has ended and meets a condition, a page at a time.
func (r *Runner) eachEnded(ctx context.Context, condition string, do func(id string) error) error {
	for after := ""; ; {
		var ended []string
		err := r.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			ended = nil
			return tx.Select(&ended, `SELECT id FROM moves WHERE `+condition+` AND ended_at IS NOT NULL AND id > $1 ORDER BY id LIMIT $2`, after, int64(sweptAtOnce))
		})
		if err != nil || len(ended) == 0 {
			return err
		}
		for _, id := range ended {
			if err := do(id); err != nil {
				return err
			}
		}
		after = ended[len(ended)-1]
	}
}

func (r *Runner) eraseLeftOf(ctx context.Context, id string, away map[string]bool) error {
	var m *Move
	err := r.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		m, err = readMove(tx, id, false)
		return err
	})
	if err != nil || m.LeftBehind == "" || away[m.LeftBehind] { // "": it was abandoned, or erased, meanwhile
		return err
	}
	trying, cancel := context.WithTimeout(ctx, sweepPatience)
	defer cancel()
	err = r.eraseAbandoned(trying, m.leftPlace(), m.token())
	gone := fault.Of(err).Kind == fault.NotFound // the backend was removed
	if err != nil && !gone {
		away[m.LeftBehind] = !r.answers(ctx, m.LeftBehind)
		r.log.DebugContext(ctx, "what a move left behind cannot be erased yet", "move", id, "backend", m.LeftBehind, "error", err)
		return nil
	}
	return r.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		m, err := readMove(tx, id, true)
		if err != nil || m.LeftBehind == "" {
			return err
		}
		data := map[string]any{"backend": m.LeftBehind, "backend_removed": gone}
		m.LeftBehind = ""
		if err := writeMove(tx, m); err != nil {
			return err
		}
		return addEvent(tx, id, "left_erased", data)
	})
}

// answers says whether a backend can be used at all, whatever a place on it may have.
func (r *Runner) answers(ctx context.Context, backend string) bool {
	ctx, cancel := context.WithTimeout(ctx, explainPatience)
	defer cancel()
	b, err := r.directory.Backend(ctx, backend)
	return err == nil && b.Ping(ctx) == nil
}

// leftPlace is the place that the move left behind.
func (m *Move) leftPlace() backends.Place {
	if m.LeftBehind == m.Target.Backend {
		return m.Target
	}
	return m.Source
}

// eraseAbandoned erases a place by the token of the move that abandoned it. Its name is
// used up, so nothing else is ever made there; where places share a database, rows that
// another move has brought meanwhile stand behind that one's fence.
func (r *Runner) eraseAbandoned(ctx context.Context, p backends.Place, token backends.Token) error {
	b, err := r.directory.Backend(ctx, p.Backend)
	if err != nil {
		return err
	}
	s, release, err := r.stores.Acquire(ctx, p)
	if err == nil {
		err = s.Takeover(ctx, token)
		if err == nil {
			err = purgeAbandoned(ctx, s, token)
		}
		release()
		r.stores.Drop(p)
	}
	switch {
	case errors.Is(err, backends.ErrStaleToken):
		return nil // another move has taken what was left here away
	case errors.Is(err, backends.ErrDamaged) && !b.Shared(): // all of it is the storefront's
	case err != nil && !errors.Is(err, backends.ErrNoPlace):
		return err
	}
	return b.Destroy(ctx, p)
}
