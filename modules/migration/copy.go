package migration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"smartseller/backends"
)

const (
	firstRows = 1000
	chunkRows = 20000
	batchKeys = 500
	// tablesAtOnce are copied or compared side by side.
	tablesAtOnce = 4
)

// prepare makes the target, arms capture at the source and waits until every
// writer that could have missed it has ended. Only then is the first row read.
func (x *run) prepare(ctx context.Context) error {
	if err := x.makeTarget(ctx); err != nil {
		return err
	}
	if err := x.source.Enlist(ctx, x.token); err != nil {
		return err
	}
	if err := x.hook(ctx, "K1"); err != nil {
		return err
	}
	if err := x.barrier(ctx); err != nil {
		return err
	}
	if err := x.target.BeginLoad(ctx, x.token); err != nil {
		return err
	}
	if err := x.hook(ctx, "deferred"); err != nil {
		return err
	}
	return x.plotCopy(ctx)
}

// makeTarget creates the place. Leftovers of a move that ended while the target
// was out of reach are removed; any other row there is refused.
func (x *run) makeTarget(ctx context.Context) error {
	b, err := x.directory.Backend(ctx, x.m.Target.Backend)
	if err != nil {
		return err
	}
	if err := x.passPreflight(ctx, b); err != nil {
		return err
	}
	if err := b.Create(ctx, x.m.Target); err != nil {
		return err
	}
	err = x.acquire(ctx, x.m.Target, &x.target)
	if errors.Is(err, backends.ErrStaleToken) {
		if err = x.clearTarget(ctx); err == nil {
			err = x.acquire(ctx, x.m.Target, &x.target)
		}
	}
	if err != nil {
		return err
	}
	if err := x.fitAll(ctx); err != nil {
		return err
	}
	if err := x.target.Install(ctx, x.token, x.m.TargetEpoch()); err != nil {
		return err
	}
	return x.checkSchema(ctx, false)
}

func (x *run) barrier(ctx context.Context) error {
	if err := x.hook(ctx, "K2"); err != nil {
		return err
	}
	err := x.endWriters(ctx, x.source, barrierTries)
	if errors.Is(err, backends.ErrLockBusy) {
		holders, _ := x.source.Holders(ctx)
		err = &waitedError{fmt.Sprintf("writers that began before the move did not end in time; in the way: %v", holders), err}
	}
	return err
}

// waitedError names who was waited for in vain.
type waitedError struct {
	text string
	error
}

func (e *waitedError) Error() string { return e.text }
func (e *waitedError) Unwrap() error { return e.error }

// plotCopy fixes how far the copy goes: keys that come later are brought by catch-up.
func (x *run) plotCopy(ctx context.Context) error {
	rows := map[string]int64{}
	last := map[*backends.Table]string{}
	err := x.source.Read(ctx, func(r backends.Reader) error {
		for _, t := range x.directory.Catalog().Moving() {
			key, err := r.LastKey(t)
			if err != nil {
				return err
			}
			last[t] = key
		}
		return countRows(r, x.directory.Catalog(), rows)
	})
	if err != nil {
		return err
	}
	x.m.Stats.Rows = rows
	if x.m.Stats.Forecast, err = foretell(ctx, x.db, x.directory, x.m, rows, x.m.Stats.Bytes); err != nil {
		return err
	}
	plot := func(t *backends.Table) backends.Progress {
		return backends.Progress{Table: t.Name, Through: last[t], Done: last[t] == ""}
	}
	tables := x.directory.Catalog().Moving()
	if err := x.sideBySide(ctx, slices.Clone(tables), func(ctx context.Context, t *backends.Table) error {
		return x.target.Load(ctx, x.token, &backends.Page{Table: t}, plot(t))
	}); err != nil {
		return err
	}
	// One that waits for the disk makes all of them as durable as the phase that follows.
	p := plot(tables[0])
	if err := x.target.Apply(ctx, x.token, backends.Batch{Progress: &p}); err != nil {
		return err
	}
	return x.enter(ctx, Copying, func(m *Move) { m.TenantMigrations = x.tenantMigrations })
}

// copyTables copies what is not yet copied. One serial loop per table: a chunk and
// the changes of the same rows never overtake each other.
func (x *run) copyTables(ctx context.Context) error {
	for {
		progress, err := x.progress(ctx)
		if err != nil {
			return err
		}
		if err := x.copyAndFollow(ctx, progress); err != nil {
			return err
		}
		// The ends of the loads waited for the disk: what is there now stays.
		kept, err := x.progress(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(kept)), func(p backends.Progress) bool { return !p.Done }) {
			return x.enter(ctx, CatchingUp)
		}
		x.log.WarnContext(ctx, "the target has forgotten chunks: they are copied again", "move", x.m.ID)
	}
}

// progress is how far the target says that each table is copied.
func (x *run) progress(ctx context.Context) (map[*backends.Table]backends.Progress, error) {
	plotted, err := x.target.Progress(ctx)
	if err != nil {
		return nil, err
	}
	progress := map[*backends.Table]backends.Progress{}
	for _, p := range plotted {
		t := x.directory.Catalog().Table(p.Table)
		if t == nil {
			return nil, fmt.Errorf("the target's progress names the unknown table %s", p.Table)
		}
		progress[t] = p
	}
	if len(progress) < len(x.directory.Catalog().Moving()) {
		return nil, fmt.Errorf("the target's progress knows %d tables of %d", len(progress), len(x.directory.Catalog().Moving()))
	}
	return progress, nil
}

// sideBySide runs fn for each table, so many at a time that reading at one place and
// writing at the other overlap, the one with the most values first.
func (x *run) sideBySide(ctx context.Context, tables []*backends.Table, fn func(context.Context, *backends.Table) error) error {
	values := func(t *backends.Table) int64 { return x.m.Stats.Rows[t.Name] * int64(len(t.Columns)) }
	slices.SortFunc(tables, func(a, b *backends.Table) int {
		return cmp.Or(cmp.Compare(values(b), values(a)), cmp.Compare(a.Name, b.Name))
	})
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(tablesAtOnce)
	for _, t := range tables {
		group.Go(func() error { return fn(ctx, t) })
	}
	return group.Wait()
}

// copyTable copies the rows of a table that are left, and says how far it is then.
func (x *run) copyTable(ctx context.Context, t *backends.Table, p backends.Progress) (backends.Progress, error) {
	told, rows, page := x.newTold(t), x.firstRows, &backends.Page{Table: t}
	for !p.Done {
		if err := x.heed(); err != nil {
			return p, err
		}
		started := time.Now()
		next, err := x.copyChunk(ctx, page, p, rows)
		if errors.Is(err, backends.ErrProgress) { // it has lost chunks, or its answer was lost
			kept, err := x.progress(ctx)
			if err != nil {
				return p, err
			}
			p = kept[t]
			continue
		}
		if err != nil {
			return p, fmt.Errorf("copy %s: %w", t.Name, err)
		}
		x.works()
		took := time.Since(started)
		p, rows = next, rowsFor(page.Len(), page.Full(), took, x.pace.chunk())
		if err := x.drainTable(ctx, p); err != nil {
			return p, fmt.Errorf("catch up %s: %w", t.Name, err)
		}
		if err := x.pace.restBut(ctx, took, func(ctx context.Context) error { return x.drainTable(ctx, p) }); err != nil {
			return p, err
		}
		if told.due(p) {
			if err := x.show(ctx, p); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

func (x *run) copyChunk(ctx context.Context, page *backends.Page, p backends.Progress, limit int) (backends.Progress, error) {
	page.Reset()
	more, err := x.source.Page(ctx, page, p.Cursor, p.Through, limit)
	if err != nil {
		return p, err
	}
	if err := x.hook(ctx, "K3"); err != nil {
		return p, err
	}
	p.Copied += int64(page.Len())
	p.Done = !more
	p.After, p.Cursor = p.Cursor, p.Through
	if more {
		p.Cursor = page.Key(page.Len() - 1).ID
	}
	err = x.target.Load(ctx, x.token, page, p)
	if errors.Is(err, backends.ErrUnique) {
		keys := make([]backends.Key, page.Len())
		for i := range keys {
			keys[i] = page.Key(i)
		}
		err = x.bring(ctx, x.source, x.target, keys, &p)
	}
	if err != nil {
		return p, err
	}
	x.metrics.copied.Add(float64(page.Len()))
	return p, x.hook(ctx, "K4")
}

// drainTable brings the table's changed keys over. Those ahead of the cursor are
// forgotten, since the chunk that reads them has not begun; but for rows that are gone, which the
// target may have nevertheless: its server may have lost chunks, and with them the cursor, and
// kept what was applied behind those.
func (x *run) drainTable(ctx context.Context, p backends.Progress) error {
	for {
		entries, err := x.source.Captured(ctx, p.Table, batchKeys)
		if err != nil || len(entries) == 0 {
			return err
		}
		var keys, ahead []backends.Key
		for _, e := range entries {
			if e.Key.ID > p.Cursor && e.Key.ID <= p.Through {
				ahead = append(ahead, e.Key)
			} else {
				keys = append(keys, e.Key)
			}
		}
		gone, err := x.gone(ctx, ahead)
		if err != nil {
			return err
		}
		if err := x.bring(ctx, x.source, x.target, append(keys, gone...), nil); err != nil {
			return err
		}
		if err := x.forget(ctx, x.source, entries); err != nil {
			return err
		}
		if len(entries) < batchKeys {
			return nil
		}
	}
}

func (x *run) forget(ctx context.Context, from backends.Store, entries []backends.Entry) error {
	point := "K5"
	if from == x.target {
		point = "K16" // the same, of the stream that comes back
	}
	if err := x.hook(ctx, point); err != nil {
		return err
	}
	if err := from.Forget(ctx, x.token, entries); err != nil {
		return err
	}
	x.saving.Lock()
	defer x.saving.Unlock()
	x.m.Stats.Captured += int64(len(entries))
	return nil
}
