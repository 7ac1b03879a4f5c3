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

// growth is the best that moves of one size took: from the first row copied until all
// was verified, and from the request to the commit.
type growth struct {
	rows        int64
	work, whole time.Duration
}

// measureGrowth moves ever larger storefronts and compares what a row takes, beyond
// what is done for an empty storefront, and the program's peak of memory.
func measureGrowth(ctx context.Context, w *world, r *report) error {
	empty, err := w.grow(ctx, 0)
	if err != nil {
		return err
	}
	perRow, best := map[int]time.Duration{}, time.Hour
	var sizes []int
	for customers := 1000; customers <= w.growth; customers *= 10 {
		g, err := w.grow(ctx, customers)
		if err != nil {
			return err
		}
		peak, err := w.peakMemory()
		if err != nil {
			return err
		}
		r.add(figure{Name: fmt.Sprintf("memory of the program, %d customers", customers), Ours: peak, Peer: mostMemory, Unit: "MiB", Target: 1, PeerIs: "what it may take at any size"})
		r.seconds(fmt.Sprintf("whole move of %d customers", customers), g.whole, "of an empty storefront", empty.whole, 0)
		perRow[customers] = (g.work - empty.work) / time.Duration(g.rows)
		best, sizes = min(best, perRow[customers]), append(sizes, customers)
	}
	for _, customers := range sizes {
		r.micros(fmt.Sprintf("copy and verify a row, %d customers", customers), perRow[customers], "the best of the sizes", best, 1.3)
	}
	return nil
}

// grow moves a new storefront of a size to the dedicated backend and back, and
// measures the ways there.
func (w *world) grow(ctx context.Context, customers int) (best growth, err error) {
	slug := fmt.Sprintf("growth-%d", customers)
	id, err := w.create(ctx, slug, sharedDatabase)
	if err != nil {
		return best, err
	}
	if customers > 0 {
		if err := w.write(ctx, w.sharedOwner, texts(id, customers)); err != nil {
			return best, err
		}
	}
	times := growthRounds
	if customers >= growthOnce {
		times = 1
	}
	if err := w.forgetPeak(); err != nil {
		return best, err
	}
	for round := range times {
		_, m, err := w.move(ctx, slug, "dedicated")
		if err != nil {
			return best, err
		}
		work := time.Duration(m.Stats.Phases["cutting_over"]-m.Stats.Phases["copying"]) * time.Microsecond
		if round == 0 {
			best = growth{m.rows(), work, m.toCommit()}
		}
		best.work, best.whole = min(best.work, work), min(best.whole, m.toCommit())
		if _, _, err = w.move(ctx, slug, sharedDatabase); err != nil {
			return best, err
		}
	}
	return best, nil
}

// rows is how many rows moved.
func (m shown) rows() (sum int64) {
	for _, n := range m.Stats.Rows {
		sum += n
	}
	return sum
}

// forgetPeak lets the system count the program's peak of memory anew.
func (w *world) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", w.process.Process.Pid), []byte("5"), 0o200)
}
