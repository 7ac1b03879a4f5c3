package migration

import (
	"context"
	"fmt"
	"time"

	"smartseller/backends"
)

// drain brings one batch of captured keys over and says which; none: in step.
func (x *run) drain(ctx context.Context, from, to backends.Store) ([]backends.Key, error) {
	entries, err := from.Captured(ctx, "", batchKeys)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	keys := make([]backends.Key, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	if err := x.bring(ctx, from, to, keys, nil); err != nil {
		return nil, err
	}
	if err := x.knowsAll(ctx, from); err != nil {
		return nil, err
	}
	return keys, x.forget(ctx, from, entries)
}

// Catch-up is over when the backlog is small enough to be drained under seal; a
// shop that writes faster than rows can be brought over is never sealed.
const (
	smallBacklog = 100
	catchUpLimit = time.Minute
)

func (x *run) catchUp(ctx context.Context) error {
	if err := x.keepUp(ctx, x.source, x.target); err != nil {
		return err
	}
	return x.enter(ctx, Verifying)
}

// keepUp drains until little is left. The limit starts anew whenever a new low is reached.
func (x *run) keepUp(ctx context.Context, from, to backends.Store) error {
	least, reached := int64(-1), time.Now()
	for {
		if err := x.heed(); err != nil {
			return err
		}
		if _, err := x.drain(ctx, from, to); err != nil {
			return err
		}
		left, err := from.Backlog(ctx)
		if err != nil || left <= smallBacklog {
			return err
		}
		if least < 0 || left < least {
			least, reached = left, time.Now()
		}
		if time.Since(reached) > catchUpLimit {
			return &outpacedError{mismatchError{fmt.Sprintf("the storefront writes faster than its changes can be brought over (%d wait): move it at a quieter time", left)}}
		}
	}
}

// outpacedError says that changes come faster than they are brought over. Both places are sound.
type outpacedError struct{ mismatchError }

func (e *outpacedError) Unwrap() error { return &e.mismatchError }
