package migration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"smartseller/backends"
)

// endLoad makes the indexes of a table that is copied, and says how long that took. Without a unique one rows could
// be copied that contradict each other, each as it was at its time: the change of one of
// them is captured, and brings them apart.
func (x *run) endLoad(ctx context.Context, t *backends.Table, p backends.Progress) (took time.Duration, err error) {
	const tries = 20
	for try := 1; ; try++ {
		if err := x.hook(ctx, "loaded"); err != nil {
			return 0, err
		}
		started := time.Now()
		err := x.target.EndLoad(ctx, x.token, t)
		if err == nil {
			return time.Since(started), nil
		}
		if !errors.Is(err, backends.ErrUnique) || try == tries {
			return 0, fmt.Errorf("end the load of %s: %w", t.Name, err)
		}
		if err := x.heed(); err != nil {
			return 0, err
		}
		if err := x.drainTable(ctx, p); err != nil {
			return 0, fmt.Errorf("catch up %s: %w", t.Name, err)
		}
	}
}
