package planning

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

const (
	countLease  = 3 * time.Minute
	countWithin = 2 * time.Minute // one table: the largest storefronts are those that policies speak of
	retryCount  = 10 * time.Minute
	sampleRows  = 200 // of a table, for the mean size of its rows
	// Rows are counted once, and again when so much was written since that what
	// upserts add unseen, and rows that changed in size, may matter.
	recountShare = 4 // a quarter of the rows
	recountLeast = 1000
)

// countersLease names the right to count what every instance reaches. The files of each
// host have one of their own, since an instance there alone reaches them.
const countersLease = "statistics"

// reach takes or renews the leases of what this instance reaches, and says of each backend
// on which it counts under which lease.
func (g *Gatherer) reach(ctx context.Context) (map[string]*control.Lease, error) {
	var kinds map[string]backends.Kind
	var hosts map[string]string
	err := g.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		if kinds, err = backends.ReadKinds(tx); err == nil {
			hosts, err = g.directory.Hosts(tx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	on := map[string][]string{} // host -> its backends
	for name := range kinds {
		on[hosts[name]] = append(on[hosts[name]], name)
	}
	held, err := g.leases.Hold(ctx, slices.Collect(maps.Keys(on)))
	if err != nil {
		return nil, err
	}
	under := map[string]*control.Lease{}
	for host, lease := range held {
		for _, name := range on[host] {
			under[name] = lease
		}
	}
	return under, nil
}

// countOn counts storefronts that wait for it, for as long as a round takes.
func (g *Gatherer) countOn(ctx context.Context) error {
	until := time.Now().Add(reportEvery)
	return g.count(ctx, func() bool { return time.Now().After(until) }) // the others have their turn in the next round
}

// Count counts the rows of storefronts that wait for it and that this instance may count,
// one by one, until none does.
func (g *Gatherer) Count(ctx context.Context) error {
	return g.count(ctx, func() bool { return false })
}

func (g *Gatherer) count(ctx context.Context, enough func() bool) error {
	under, err := g.reach(ctx)
	if err != nil || len(under) == 0 {
		return err
	}
	for {
		found, err := g.uncounted(ctx, under)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, u := range found {
			err := g.countOne(ctx, u)
			if errors.Is(err, errNotNow) { // the next round sees who counts now, and where
				return nil
			}
			if err != nil || enough() {
				return err
			}
		}
	}
}

// uncounted is a storefront that waits to be counted, and the lease under which it is.
type uncounted struct {
	Storefront backends.StorefrontID `db:"storefront_id"`
	Backend    string                `db:"backend"`
	lease      *control.Lease
}

// uncounted finds some of the storefronts on backends that were never counted or changed a
// lot since; those that could not be read have their turn after some time again.
func (g *Gatherer) uncounted(ctx context.Context, under map[string]*control.Lease) (found []uncounted, err error) {
	err = g.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		found = nil
		marks, args := control.List([]any{int64(recountLeast), int64(recountShare), tx.Now() - retryCount.Microseconds(), int64(reportBatch)}, slices.Sorted(maps.Keys(under)))
		return tx.Select(&found, `SELECT p.storefront_id, p.backend FROM placements p LEFT JOIN storefront_activity a ON a.storefront_id = p.storefront_id
			WHERE p.backend IN (`+marks+`) AND COALESCE(a.tried_at, 0) <= $3 AND (COALESCE(a.counted_at, 0) = 0 OR a.changed >= $1 AND a.changed * $2 >=
			(SELECT COALESCE(sum(t.row_count), 0) FROM storefront_tables t WHERE t.storefront_id = p.storefront_id))
			ORDER BY COALESCE(a.counted_at, 0), p.storefront_id LIMIT $4`, args...)
	})
	for i := range found {
		found[i].lease = under[found[i].Backend]
	}
	return found, err
}

// tally is what was counted of a storefront, and what was known before of the same: what is
// reported meanwhile comes on top.
type tally struct {
	tables        []tableRow
	known         []int64 // rows of each table, before it was counted
	changedBefore int64
}

// countOne counts one storefront, now. What was written and not yet reported counts
// twice; it is little, and the next count puts it right. errNotNow when another instance
// counts by now, which alone writes what has become of it.
func (g *Gatherer) countOne(ctx context.Context, u uncounted) error {
	c, failed := g.measure(ctx, u)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(failed, errNotNow) {
		return failed
	}
	err := g.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		held, err := u.lease.Held(tx)
		if err == nil && !held {
			err = errNotNow
		}
		if err != nil {
			return err
		}
		if failed != nil {
			return noteTried(tx, u.Storefront)
		}
		return c.save(tx, u.Storefront)
	})
	if err == nil && failed != nil {
		g.log.WarnContext(ctx, "a storefront's rows could not be counted; its turn comes again", "storefront", u.Storefront, "error", failed)
	}
	return err
}

// noteTried lets a storefront that could not be counted wait for some time.
func noteTried(tx control.Tx, storefront backends.StorefrontID) error {
	_, err := tx.Exec(`INSERT INTO storefront_activity (storefront_id, active_at, changed, counted_at, tried_at) VALUES ($1, 0, 0, 0, $2)
		ON CONFLICT (storefront_id) DO UPDATE SET tried_at = excluded.tried_at`, string(storefront), tx.Now())
	return err
}

// save writes what was counted.
func (c tally) save(tx control.Tx, storefront backends.StorefrontID) error {
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
}

// measure counts at the place where the storefront is, and was until the end. errNotNow when
// it is another instance's to do so by now.
func (g *Gatherer) measure(ctx context.Context, u uncounted) (c tally, err error) {
	at, err := g.directory.Placement(ctx, u.Storefront)
	if err == nil && at.Place.Backend != u.Backend { // perhaps it is on another host now
		err = errNotNow
	}
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
	if c.changedBefore, err = g.known(ctx, `SELECT COALESCE(max(changed), 0) FROM storefront_activity WHERE storefront_id = $1`, string(u.Storefront)); err != nil {
		return c, err
	}
	for _, t := range g.directory.Catalog().Moving() {
		held, err := u.lease.Hold(ctx)
		if err == nil && !held {
			err = errNotNow
		}
		if err != nil {
			return c, err
		}
		known, err := g.known(ctx, `SELECT COALESCE(max(row_count), 0) FROM storefront_tables WHERE storefront_id = $1 AND table_name = $2`, string(u.Storefront), t.Name)
		if err != nil {
			return c, err
		}
		row, err := g.measureTable(ctx, store, t)
		if err != nil {
			return c, fmt.Errorf("%s: %w", t.Name, err)
		}
		c.tables, c.known = append(c.tables, row), append(c.known, known)
	}
	if now, err := g.directory.Placement(ctx, u.Storefront); err != nil || now.Place != at.Place {
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
