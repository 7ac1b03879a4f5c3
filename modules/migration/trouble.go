package migration

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// tolerance is how long nothing may work before a move that has not committed gives up;
// after the commit point a move never gives up. longestOutage is that for a place which is out of
// reach once copying has begun: a server that is started anew, or fails over, is no reason to
// throw away hours of work, nor all moves that stand by.
const (
	tolerance     = 20 * time.Second
	longestOutage = 10 * time.Minute
)

// Trouble is why the steps of a move do not work, and are tried again.
type Trouble struct {
	Error string `json:"error"`
	Since int64  `json:"since" doc:"Microseconds UTC"`
	// In the rollback window:
	Behind int64 `json:"behind_since,omitempty" doc:"Since when the old place lacks changes, as far as that was looked at, microseconds UTC; 0: it was not seen to"`
}

// What has not passed by troubleTold is written down, for whoever asks any instance; another
// one after troubleRetold: some come and go, and some texts differ each time.
const (
	troubleTold   = time.Second
	troubleRetold = time.Minute
)

// troubled notes that a step did not work, warns of the first one that did not, and writes
// down what lasts.
func (x *run) troubled(ctx context.Context, err error) {
	level := slog.LevelDebug
	if x.troubleSince.CompareAndSwap(0, time.Now().UnixNano()) {
		level = slog.LevelWarn
	}
	x.log.Log(ctx, level, "a step of a move did not work", "move", x.m.ID, "phase", x.m.Phase, "error", err)
	since := time.Unix(0, x.troubleSince.Load())
	told := x.m.Stats.Trouble
	known := told != nil && told.Error == err.Error()
	var away *controlError
	if known || time.Since(x.troubleSaid) < troubleRetold || time.Since(since) < troubleTold || errors.As(err, &away) {
		return
	}
	x.troubleSaid = time.Now()
	if err := x.tell(ctx, &Trouble{Error: err.Error()}, since); err != nil { // the control database is away, or the move is lost: drive learns it
		x.log.DebugContext(ctx, "the trouble of a move was not written down", "move", x.m.ID, "error", err)
	}
}

// passed takes back what was told, if something was.
func (x *run) passed(ctx context.Context) error {
	if x.m.Stats.Trouble == nil {
		return nil
	}
	return x.tell(ctx, nil, time.Time{})
}

// tell writes down what the trouble is, and since when by the control database's clock, or
// (nil) that it has passed. One that whoever ran the move before had as well goes on.
func (x *run) tell(ctx context.Context, t *Trouble, since time.Time) error {
	return x.save(ctx, "trouble", t, func(tx control.Tx, m *Move) error {
		if t != nil {
			t.Since = tx.Now() - time.Since(since).Microseconds()
			if before := m.Stats.Trouble; before != nil {
				t.Since, t.Behind = min(t.Since, before.Since), before.Behind
			}
		}
		m.Stats.Trouble = t
		return nil
	})
}

// behindFor is for how long the old place, which takes no changes, has lacked some: whoever ran the
// move first saw it wrote it down.
func (x *run) behindFor(ctx context.Context) (long time.Duration, err error) {
	switch t := x.m.Stats.Trouble; {
	case t == nil:
		return 0, nil
	case t.Behind == 0:
		return 0, x.noteBehind(ctx, true)
	default:
		err = x.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			long = time.Duration(max(0, tx.Now()-t.Behind)) * time.Microsecond
			return nil
		})
		return long, err
	}
}

// works says that the move has come on, for good: what is amiss later is another trouble.
// Rows that were compared are no such thing, since a comparison begins anew.
func (x *run) works() {
	x.troubleSince.Store(0)
	x.erringSince.Store(0)
}

// untried says that for so long nothing was tried, which counts for no trouble.
func (x *run) untried(long time.Duration) {
	for _, since := range []*atomic.Int64{&x.troubleSince, &x.erringSince} {
		if since.Load() != 0 {
			since.Add(long.Nanoseconds())
		}
	}
}

// endsRun says that an error ends this run, not the move: another run goes on with it.
func endsRun(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, errLost) || errors.Is(err, errCrash) || errors.Is(err, backends.ErrStaleToken)
}

// held says that the move waits for another one at its places, which an older program began
// and was told to end.
func (x *run) held(err error) bool {
	return x.m.Phase == Preparing && errors.Is(err, backends.ErrPlaceMoving)
}

// impatient says that nothing has worked for longer than it may.
func (x *run) impatient() bool { return x.lasts(x.tolerance) }

// lasts says that nothing has worked for longer than that.
func (x *run) lasts(long time.Duration) bool {
	since := x.troubleSince.Load()
	return since != 0 && time.Since(time.Unix(0, since)) > long
}

// errs says that what is more than a place out of reach has lasted for longer than it may: behind
// an outage a server that comes back may refuse for a moment.
func (x *run) errs() bool {
	x.erringSince.CompareAndSwap(0, time.Now().UnixNano())
	return time.Since(time.Unix(0, x.erringSince.Load())) > x.tolerance
}

// comesBack says that a place with copied rows is out of reach, and may come back by itself.
func (x *run) comesBack(err error) bool {
	copied := x.m.Phase == Copying || x.m.Phase == CatchingUp || x.m.Phase == Verifying || x.m.Phase == CuttingOver && x.m.Cut == NotCut
	return copied && errors.Is(err, backends.ErrUnreachable) && !errors.Is(err, backends.ErrDamaged) && !errors.Is(err, backends.ErrFull)
}

// noteBehind writes down since when the old place lacks changes while there is a trouble, or that
// it lacks none.
func (x *run) noteBehind(ctx context.Context, lacks bool) error {
	t := x.m.Stats.Trouble
	if t == nil || lacks == (t.Behind != 0) {
		return nil
	}
	return x.save(ctx, unsaid, nil, func(tx control.Tx, m *Move) error {
		noted := *t
		if noted.Behind = 0; lacks {
			noted.Behind = tx.Now()
		}
		m.Stats.Trouble = &noted
		return nil
	})
}
