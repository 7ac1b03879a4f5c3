package migration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"smartseller/backends"
)

// endLoad makes the indexes of a table that is copied. Without a unique one rows could
// be copied that contradict each other, each as it was at its time: the change of one of
// them is captured, and brings them apart.
func (x *run) endLoad(ctx context.Context, t *backends.Table, p backends.Progress) error {
	const tries = 20
	for try := 1; ; try++ {
		if err := x.hook(ctx, "loaded"); err != nil {
			return err
		}
		started := time.Now()
		err := x.target.EndLoad(ctx, x.token, t)
		if err == nil {
			return x.pace.rest(ctx, time.Since(started))
		}
		if !errors.Is(err, backends.ErrUnique) || try == tries {
			return fmt.Errorf("end the load of %s: %w", t.Name, err)
		}
		if err := x.heed(); err != nil {
			return err
		}
		if err := x.drainTable(ctx, p); err != nil {
			return fmt.Errorf("catch up %s: %w", t.Name, err)
		}
	}
}
