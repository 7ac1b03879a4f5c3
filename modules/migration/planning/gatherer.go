package planning

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

const (
	reportEvery = 10 * time.Second // how old statistics may be
	reportBatch = 100              // storefronts in one transaction
)

// Gatherer keeps the statistics: what this instance's customers did goes to the
// control database every few seconds; one instance at a time, and for the files of each
// host one that is there, counts the rows of storefronts whose rows were never counted, or
// changed a lot, one by one.
type Gatherer struct {
	db        *control.DB
	meter     *backends.TrafficMeter
	directory *backends.Directory
	stores    *backends.Stores
	leases    *control.HostLeases
	within    time.Duration // one table is counted, or its storefront has its turn later
	log       *slog.Logger

	cancel context.CancelFunc
	loops  sync.WaitGroup
}

// NewGatherer makes a gatherer; Start starts it.
func NewGatherer(db *control.DB, meter *backends.TrafficMeter, directory *backends.Directory, stores *backends.Stores, log *slog.Logger) *Gatherer {
	host, _ := os.Hostname() // whoever does not know counts what is on no certain host
	leases := &control.HostLeases{DB: db, Work: countersLease, Host: host, Life: countLease}
	return &Gatherer{db: db, meter: meter, directory: directory, stores: stores, leases: leases, within: countWithin, log: log}
}

// Start begins to gather.
func (g *Gatherer) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.loops.Go(func() { g.loop(ctx, g.Report, g.meter.Full()) })
	g.loops.Go(func() { g.loop(ctx, g.countOn, nil) }) // which may take its time
}

// Stop returns when nothing runs any more, with what was still in memory reported. It hands
// the leases back, so that another instance counts on at once.
func (g *Gatherer) Stop(ctx context.Context) {
	g.cancel()
	g.loops.Wait()
	if err := g.Report(ctx); err != nil {
		g.log.WarnContext(ctx, "the last statistics are lost", "error", err)
	}
	if err := g.leases.Release(ctx); err != nil {
		g.log.WarnContext(ctx, "a lease could not be handed back; it runs out by itself", "error", err)
	}
}

// loop does something every few seconds, and when it is told to.
func (g *Gatherer) loop(ctx context.Context, do func(context.Context) error, told <-chan struct{}) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-told:
		}
		if err := do(ctx); err != nil && ctx.Err() == nil {
			g.log.WarnContext(ctx, "statistics are late", "error", err)
		}
	}
}

// Report writes what happened since the last time. What cannot be written is kept
// for the next time.
func (g *Gatherer) Report(ctx context.Context) error {
	shops, missed := g.meter.Take()
	if missed > 0 {
		g.log.WarnContext(ctx, "statistics miss requests: more storefronts were busy at once than are remembered", "requests", missed)
	}
	all := slices.SortedFunc(maps.Keys(shops), func(a, b backends.StorefrontHour) int { // two instances lock rows in one order
		return cmp.Or(cmp.Compare(a.Storefront, b.Storefront), cmp.Compare(a.Hour, b.Hour))
	})
	var failed error
	for batch := range slices.Chunk(all, reportBatch) {
		err := failed
		if err == nil {
			err = g.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
				return saveTraffic(tx, batch, shops)
			})
		}
		if err != nil {
			failed = err
			for _, at := range batch {
				g.meter.Add(at.Storefront, *shops[at])
			}
		}
	}
	return failed
}
