package main

import (
	"context"
	"fmt"
	"time"

	"smartseller/e2e/load"
)

// demo is one journey of the demo storefront.
type demo struct {
	*installation
	crowd *load.Load
}

// hop is one move, or all of them together, as its customers felt it.
type hop struct {
	name   string
	took   time.Duration
	report load.Report
}

// travel moves the storefront along its way, each time until the old place is erased.
func (d *demo) travel(ctx context.Context) error {
	at := "files-1"
	for _, target := range way {
		fmt.Println()
		began := time.Now()
		for _, args := range [][]string{
			{"move", "start", "demo", target},
			{"move", "watch", "demo", "--until", "watching"},
			{"move", "finalize", "demo"},
			{"move", "watch", "demo", "--until", "completed"},
		} {
			if err := d.command(ctx, args...); err != nil {
				return err
			}
		}
		d.print(hop{name: at + " -> " + target, took: time.Since(began), report: d.crowd.Since(began)})
		at = target
	}
	return nil
}

// tell says every second how the customers fare.
func (d *demo) tell(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r := d.crowd.Since(last)
			fmt.Printf("  load: %d requests/s, %d failures, %d writes, longest %s\n",
				r.Requests, r.Failures, r.Writes, stall(r))
			last = now
		}
	}
}

// stall is the longest that anybody waited, but for those who gave a password: to
// check one takes long on purpose.
func stall(r load.Report) (longest time.Duration) {
	for kind, t := range r.Kinds {
		if kind != load.Login && kind != load.Register {
			longest = max(longest, t.Longest)
		}
	}
	return longest.Round(time.Millisecond)
}

func (d *demo) print(h hop) {
	fmt.Printf("\n%s, in %.1f s\n", h.name, h.took.Seconds())
	for _, line := range []struct {
		name  string
		value any
	}{
		{"requests", h.report.Requests},
		{"failures", h.report.Failures},
		{"writes acknowledged", h.report.Writes},
		{"comparisons that held", h.report.Verified},
		{"longest stall", stall(h.report)},
	} {
		fmt.Printf("  %-22s %v\n", line.name, line.value)
	}
	for _, failure := range h.report.Failed {
		fmt.Println("  FAILED", failure)
	}
}
