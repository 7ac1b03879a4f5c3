package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"smartseller/e2e/load"
)

const (
	customersAtOnce = 8
	activitiesASec  = 60
	// The mover takes the half minute before it as the measure of requests.
	undisturbed = 35 * time.Second
)

// measurePacing moves the reference storefront twice under a steady load, paced and
// at full speed, and compares what customers feel with what they felt before.
func measurePacing(ctx context.Context, w *world, r *report) error {
	crowd, err := w.customersOf(ctx, "reference", customersAtOnce, activitiesASec)
	if err != nil {
		return err
	}
	crowd.Start(ctx)
	defer crowd.Stop()
	before, paced, slow, err := w.disturb(ctx, crowd)
	if err != nil {
		return err
	}
	beforeFast, unpaced, fast, err := w.disturb(ctx, crowd, "--unpaced")
	if err != nil {
		return err
	}
	crowd.Stop()
	r.millis("p95 of requests, paced copy", paced, "p95 before it", before, 1.5)
	r.millis("p95 of requests, copy at full speed", unpaced, "p95 before it", beforeFast, 0)
	r.seconds("copy and verification, paced", slow, "the same at full speed", fast, 0)
	return crowd.Verify(ctx)
}

// disturb moves the storefront and rolls that back. It returns the 95th percentile of
// the requests before, and from the first row copied until the cutover, and how long
// that took.
func (w *world) disturb(ctx context.Context, crowd *load.Load, flags ...string) (before, during, took time.Duration, err error) {
	began := time.Now()
	select {
	case <-ctx.Done():
		return 0, 0, 0, ctx.Err()
	case <-time.After(undisturbed):
	}
	before = p95(crowd, began, time.Now())
	err = w.thereAndBack(ctx, "reference", "dedicated", func(way string, m shown) error {
		if way == forward {
			from, to := time.UnixMicro(m.Stats.Phases["copying"]), time.UnixMicro(m.Stats.Phases["cutting_over"])
			during, took = p95(crowd, from, to), to.Sub(from)
			fmt.Fprintf(os.Stderr, "%v%s\n", flags, m.phases())
		}
		return nil
	}, flags...)
	return before, during, took, err
}

func p95(crowd *load.Load, begin, end time.Time) time.Duration {
	writes, reads := under(crowd, begin, end)
	return quantile(append(writes, reads...), 0.95)
}
