package migration

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"smartseller/backends"
)

// tolerance is how long a place may be out of reach before a move that has not
// committed gives up; after the commit point a move never gives up.
const tolerance = 20 * time.Second

// troubled notes that a step did not work, and warns of the first one that did not.
func (x *run) troubled(ctx context.Context, err error) {
	level := slog.LevelDebug
	if x.troubleSince.CompareAndSwap(0, time.Now().UnixNano()) {
		level = slog.LevelWarn
	}
	x.log.Log(ctx, level, "a step of a move did not work", "move", x.m.ID, "phase", x.m.Phase, "error", err)
}

// works says that the move has come on, for good: what is amiss later is another trouble.
// Rows that were compared are no such thing, since a comparison begins anew.
func (x *run) works() { x.troubleSince.Store(0) }

// endsRun says that an error ends this run, not the move: another run goes on with it.
func endsRun(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, errLost) || errors.Is(err, errCrash) || errors.Is(err, backends.ErrStaleToken)
}

// held says that the move waits for another one at its places, which an older program began
// and was told to end.
func (x *run) held(err error) bool {
	return x.m.Phase == Preparing && errors.Is(err, backends.ErrPlaceMoving)
}

// impatient says that nothing has worked for longer than a place may be away.
func (x *run) impatient() bool {
	since := x.troubleSince.Load()
	return since != 0 && time.Since(time.Unix(0, since)) > x.tolerance
}
