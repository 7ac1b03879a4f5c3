package planning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

const (
	reportEvery = 10 * time.Second // how old statistics may be
	reportBatch = 100              // storefronts in one transaction
	countLease  = 3 * time.Minute
	countWithin = 2 * time.Minute // one table: the largest storefronts are those that policies speak of
	retryCount  = 10 * time.Minute
	sampleRows  = 200 // of a table, for the mean size of its rows
	// Rows are counted once, and again when so much was written since that what
	// upserts add unseen, and rows that changed in size, may matter.
	recountShare = 4 // a quarter of the rows
	recountLeast = 1000
)

// Gatherer keeps the statistics: what this instance's customers did goes to the
// control database every few seconds; one instance at a time counts the rows of
// storefronts whose rows were never counted, or changed a lot, one by one.
type Gatherer struct {
	db        *control.DB
	meter     *backends.TrafficMeter
	directory *backends.Directory
	stores    *backends.Stores
	lease     *control.Lease // of who counts
	within    time.Duration  // one table is counted, or its storefront has its turn later
	log       *slog.Logger

	cancel context.CancelFunc
	loops  sync.WaitGroup
}

// NewGatherer makes a gatherer; Start starts it.
func NewGatherer(db *control.DB, meter *backends.TrafficMeter, directory *backends.Directory, stores *backends.Stores, log *slog.Logger) *Gatherer {
	return &Gatherer{
		db: db, meter: meter, directory: directory, stores: stores, lease: control.NewLease(db, "statistics", "", countLease), within: countWithin, log: log,
	}
}

// Start begins to gather.
func (g *Gatherer) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.loops.Go(func() { g.loop(ctx, g.Report, g.meter.Full()) })
	g.loops.Go(func() { g.loop(ctx, g.countOn, nil) }) // which may take its time
}

// Stop reports what is still in memory and returns when nothing runs any more.
func (g *Gatherer) Stop(ctx context.Context) {
	g.cancel()
	g.loops.Wait()
	if err := g.Report(ctx); err != nil {
		g.log.WarnContext(ctx, "the last statistics are lost", "error", err)
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
				for _, at := range batch {
					if err := saveTraffic(tx, at.Storefront, shops[at]); err != nil {
						return err
					}
				}
				return nil
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

// countOn counts storefronts that wait for it, for as long as a round takes.
func (g *Gatherer) countOn(ctx context.Context) error {
	held, err := g.lease.Hold(ctx)
	if err != nil || !held {
		return err
	}
	until := time.Now().Add(reportEvery)
	return g.count(ctx, func() bool { return time.Now().After(until) }) // the others have their turn in the next round
}

// Count counts the rows of storefronts that wait for it, one by one, until none does.
func (g *Gatherer) Count(ctx context.Context) error {
	return g.count(ctx, func() bool { return false })
}

func (g *Gatherer) count(ctx context.Context, enough func() bool) error {
	for {
		var waiting []string
		err := g.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			waiting = nil
			return tx.Select(&waiting, waitingForCount, int64(recountLeast), int64(recountShare), tx.Now()-retryCount.Microseconds(), int64(reportBatch))
		})
		if err != nil || len(waiting) == 0 {
			return err
		}
		for _, id := range waiting {
			if err := g.countOne(ctx, backends.StorefrontID(id)); err != nil || enough() {
				return err
			}
		}
	}
}

// waitingForCount are storefronts that were never counted or changed a lot since,
// those that could not be read after some time again.
const waitingForCount = `SELECT p.storefront_id FROM placements p LEFT JOIN storefront_activity a ON a.storefront_id = p.storefront_id
	WHERE COALESCE(a.tried_at, 0) <= $3 AND (COALESCE(a.counted_at, 0) = 0 OR a.changed >= $1 AND a.changed * $2 >=
	(SELECT COALESCE(sum(t.row_count), 0) FROM storefront_tables t WHERE t.storefront_id = p.storefront_id))
	ORDER BY COALESCE(a.counted_at, 0), p.storefront_id LIMIT $4`

// tally is what was counted of a storefront, and what was known before of the same: what is
// reported meanwhile comes on top.
type tally struct {
	tables        []tableRow
	known         []int64 // rows of each table, before it was counted
	changedBefore int64
}

// countOne counts one storefront, now. What was written and not yet reported counts
// twice; it is little, and the next count puts it right.
func (g *Gatherer) countOne(ctx context.Context, storefront backends.StorefrontID) error {
	c, failed := g.measure(ctx, storefront)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed != nil {
		g.log.WarnContext(ctx, "a storefront's rows could not be counted; its turn comes again", "storefront", storefront, "error", failed)
	}
	return g.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if failed != nil {
			_, err := tx.Exec(`INSERT INTO storefront_activity (storefront_id, active_at, changed, counted_at, tried_at) VALUES ($1, 0, 0, 0, $2)
				ON CONFLICT (storefront_id) DO UPDATE SET tried_at = excluded.tried_at`, string(storefront), tx.Now())
			return err
		}
		if held, err := g.lease.Held(tx); err != nil || !held {
			return errors.Join(errors.New("another instance counts by now"), err)
		}
		for i, t := range c.tables {
			if _, err := tx.Exec(`INSERT INTO storefront_tables (storefront_id, table_name, row_count, row_bytes) VALUES ($1, $2, $3, $4)
				ON CONFLICT (storefront_id, table_name) DO UPDATE SET row_count = storefront_tables.row_count + excluded.row_count - $5, row_bytes = excluded.row_bytes`,
				string(storefront), t.Name, t.Rows, t.RowBytes, c.known[i]); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO storefront_activity (storefront_id, active_at, changed, counted_at, tried_at) VALUES ($1, 0, 0, $2, 0)
			ON CONFLICT (storefront_id) DO UPDATE SET changed = storefront_activity.changed - $3, counted_at = excluded.counted_at, tried_at = 0`, string(storefront), tx.Now(), c.changedBefore)
		return err
	})
}

// measure counts at the place where the storefront is, and was until the end.
func (g *Gatherer) measure(ctx context.Context, storefront backends.StorefrontID) (c tally, err error) {
	at, err := g.directory.Placement(ctx, storefront)
	if err != nil {
		return c, err
	}
	opening, cancel := context.WithTimeout(ctx, g.within)
	defer cancel()
	store, release, err := g.stores.Acquire(opening, at.Place)
	if err != nil {
		return c, err
	}
	defer release()
	if c.changedBefore, err = g.known(ctx, `SELECT COALESCE(max(changed), 0) FROM storefront_activity WHERE storefront_id = $1`, string(storefront)); err != nil {
		return c, err
	}
	for _, t := range g.directory.Catalog().Moving() {
		if held, err := g.lease.Hold(ctx); err != nil || !held {
			return c, errors.Join(errors.New("another instance counts by now"), err)
		}
		known, err := g.known(ctx, `SELECT COALESCE(max(row_count), 0) FROM storefront_tables WHERE storefront_id = $1 AND table_name = $2`, string(storefront), t.Name)
		if err != nil {
			return c, err
		}
		row, err := g.measureTable(ctx, store, t)
		if err != nil {
			return c, fmt.Errorf("%s: %w", t.Name, err)
		}
		c.tables, c.known = append(c.tables, row), append(c.known, known)
	}
	if now, err := g.directory.Placement(ctx, storefront); err != nil || now.Place != at.Place {
		return c, errors.Join(errors.New("it moved while it was counted"), err)
	}
	return c, nil
}

func (g *Gatherer) known(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = g.db.View(ctx, func(_ context.Context, tx control.Tx) error { return tx.Get(&n, text, args...) })
	return n, err
}

func (g *Gatherer) measureTable(ctx context.Context, store backends.Store, t *backends.Table) (row tableRow, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.within)
	defer cancel()
	row = tableRow{Storefront: string(store.Place().Storefront), Name: t.Name}
	err = store.Read(ctx, func(r backends.Reader) (err error) {
		if row.Rows, err = r.Count(t); err != nil {
			return err
		}
		sample, _, err := r.Scan(t, "", "", sampleRows)
		row.RowBytes = meanBytes(sample)
		return err
	})
	return row, err
}

// meanBytes is the mean size of the values of rows, numbers as eight bytes each.
func meanBytes(rows []backends.Row) int64 {
	var sum int64
	for _, r := range rows {
		for _, v := range r {
			switch v := v.(type) {
			case string:
				sum += int64(len(v))
			case []byte:
				sum += int64(len(v))
			case int64:
				sum += 8
			}
		}
	}
	return sum / int64(max(1, len(rows)))
}
