package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	callers = 16 // at the same time
	rounds  = 11
)

// operation does something once, on a row that no other caller uses at the time.
type operation struct {
	name string
	run  func(ctx context.Context, row string) error
}

// medians runs each operation in turn, round after round, so that whatever else the
// machine does meets all of them alike, and returns what one of each took from the
// view of all callers together: the median of its rounds. The first round warms up.
func medians(ctx context.Context, times int, operations ...operation) (map[string]time.Duration, error) {
	took := map[string][]time.Duration{}
	for round := range rounds + 1 {
		for i := range operations {
			o := operations[(i+round)%len(operations)]
			d, err := together(ctx, times, o)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", o.name, err)
			}
			if round > 0 {
				took[o.name] = append(took[o.name], d/time.Duration(times))
			}
		}
	}
	out := map[string]time.Duration{}
	for _, o := range operations {
		slices.Sort(took[o.name])
		out[o.name] = took[o.name][rounds/2]
		fmt.Fprintf(os.Stderr, "%s: %v (%v to %v)\n", o.name, out[o.name], took[o.name][0], took[o.name][rounds-1])
	}
	return out, nil
}

// together has all callers run an operation so many times in all.
func together(ctx context.Context, times int, o operation) (time.Duration, error) {
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make(chan error, callers)
	started := time.Now()
	for caller := range callers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(times); n = next.Add(1) {
				if err := o.run(ctx, rowOf(caller, int(n)%rowsOfCaller)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	took := time.Since(started)
	close(errs)
	return took, <-errs
}

const rowsOfCaller = 100

func rowOf(caller, n int) string { return fmt.Sprintf("row-%02d-%03d", caller, n) }
