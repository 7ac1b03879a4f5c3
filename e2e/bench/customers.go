package main

import (
	"context"
	"slices"
	"time"

	"smartseller/e2e/load"
)

// customersOf are so many customers of a storefront, who write and read back so often
// a second, all together. Each of them is one caller, and remembers every answer.
func (w *world) customersOf(ctx context.Context, slug string, callers, rate int) (*load.Load, error) {
	return load.New(ctx, load.Options{URL: w.address, Storefront: slug, Workers: callers, Customers: 1, Rate: rate, Writing: true})
}

// under lists the requests that were under way within a span of time.
func under(l *load.Load, begin, end time.Time) (writes, reads []time.Duration) {
	for _, r := range l.Records() {
		switch {
		case r.Start.After(end) || r.Start.Add(r.Took).Before(begin):
		case r.Kind.Reads():
			reads = append(reads, r.Took)
		default:
			writes = append(writes, r.Took)
		}
	}
	return writes, reads
}

// quantile is the duration that a share q of all stayed under; 0 of none.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)]
}
