package migration

import (
	"context"
	"errors"
	"time"

	"smartseller/backends"
)

// While a barrier waits for one writer, all later ones wait behind it: its tries are
// short, and farther and farther apart.
const (
	barrierWait      = 50 * time.Millisecond
	barrierPause     = 25 * time.Millisecond // after the first try, and twice as long after each other one
	barrierPauseMost = 2 * time.Second
	barrierTries     = 16 // in about 20 s: the server ends who does nothing for ten
	forEver          = 0
)

// endWriters waits until every writer that was under way has ended, who may record keys or
// have missed to. ErrLockBusy after so many tries.
func (x *run) endWriters(ctx context.Context, s backends.Store, tries int) error {
	rest := barrierPause
	for try := 1; ; try++ {
		err := s.Barrier(ctx, x.token, barrierWait)
		if !errors.Is(err, backends.ErrLockBusy) || try == tries {
			return err
		}
		if err := pause(ctx, rest); err != nil {
			return err
		}
		rest = min(2*rest, barrierPauseMost)
	}
}
