package migration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"smartseller/backends"
)

// followEvery is how often changes are looked for in tables that are copied already.
const followEvery = time.Second

// copyAndFollow copies tables side by side, and brings over what changes in those that
// are done while others are not: the changes of a busy one would pile up at the source for
// as long as the largest takes.
func (x *run) copyAndFollow(ctx context.Context, tables map[*backends.Table]backends.Progress) error {
	done := make(chan backends.Progress, len(tables))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return x.follow(ctx, done) })
	group.Go(func() error {
		defer close(done)
		return x.sideBySide(ctx, slices.Collect(maps.Keys(tables)), func(ctx context.Context, t *backends.Table) error {
			p, err := x.copyTable(ctx, t, tables[t])
			if err != nil {
				return err
			}
			took, err := x.endLoad(ctx, t, p)
			if err != nil {
				return err
			}
			p.Cursor, p.Done = p.Through, true
			done <- p
			if err := x.show(ctx, p); err != nil {
				return err
			}
			return x.pace.rest(ctx, took)
		})
	})
	return group.Wait()
}

// follow drains the tables that it is told of, until there will be no more.
func (x *run) follow(ctx context.Context, done <-chan backends.Progress) error {
	tick := time.NewTicker(x.followEvery)
	defer tick.Stop()
	var copied []backends.Progress
	for {
		select {
		case p, more := <-done:
			if !more {
				return nil
			}
			copied = append(copied, p)
		case <-tick.C:
			for _, p := range copied {
				if err := x.drainTable(ctx, p); err != nil {
					return fmt.Errorf("catch up %s: %w", p.Table, err)
				}
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
