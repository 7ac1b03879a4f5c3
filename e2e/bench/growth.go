package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	growthRounds = 3      // of sizes whose moves take moments
	growthOnce   = 50_000 // customers from which one move tells enough
)

// measureGrowth moves ever larger storefronts and compares what a row takes, beyond
// what a move of an empty storefront takes, and the program's peak of memory.
func measureGrowth(ctx context.Context, w *world, r *report) error {
	empty, _, err := w.grow(ctx, 0)
	if err != nil {
		return err
	}
	perRow, best := map[int]time.Duration{}, time.Hour
	var sizes []int
	for customers := 1000; customers <= w.growth; customers *= 10 {
		took, m, err := w.grow(ctx, customers)
		if err != nil {
			return err
		}
		var rows int64
		for _, n := range m.Stats.Rows {
			rows += n
		}
		peak, err := w.peakMemory()
		if err != nil {
			return err
		}
		r.add(figure{Name: fmt.Sprintf("memory of the program, %d customers", customers), Ours: peak, Peer: mostMemory, Unit: "MiB", Target: 1, PeerIs: "what it may take at any size"})
		perRow[customers] = (took - empty) / time.Duration(rows)
		best, sizes = min(best, perRow[customers]), append(sizes, customers)
	}
	for _, customers := range sizes {
		r.micros(fmt.Sprintf("time per row, %d customers", customers), perRow[customers], "the best of the sizes", best, 1.3)
	}
	return nil
}

// grow moves a new storefront of a size to the dedicated backend and back, and
// returns the median of the ways there, to the commit.
func (w *world) grow(ctx context.Context, customers int) (took time.Duration, m shown, err error) {
	slug := fmt.Sprintf("growth-%d", customers)
	id, err := w.create(ctx, slug, sharedDatabase)
	if err != nil {
		return 0, m, err
	}
	if customers > 0 {
		if err := w.write(ctx, w.sharedOwner, texts(id, customers)); err != nil {
			return 0, m, err
		}
	}
	times := growthRounds
	if customers >= growthOnce {
		times = 1
	}
	if err := w.forgetPeak(); err != nil {
		return 0, m, err
	}
	var all []time.Duration
	for range times {
		if _, m, err = w.move(ctx, slug, "dedicated"); err != nil {
			return 0, m, err
		}
		all = append(all, m.toCommit())
		if _, _, err = w.move(ctx, slug, sharedDatabase); err != nil {
			return 0, m, err
		}
	}
	fmt.Fprintf(os.Stderr, "%d customers: %v\n", customers, all)
	return quantile(all, 0.5), m, nil
}

// forgetPeak lets the system count the program's peak of memory anew.
func (w *world) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", w.process.Process.Pid), []byte("5"), 0o200)
}
