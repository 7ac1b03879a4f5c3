package migration

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"smartseller/backends"
)

// countedUnderSeal bounds the rows that are counted while writes wait: counting
// takes time with their number. Beyond it the keys that changed since the whole was
// verified, all of them compared before, speak for the rest, and the servers' own sums
// do, of the tables in which these could be compared.
const countedUnderSeal = 50_000

const sealedCountsGate = "counts under seal"

// counted notes how many rows each table has, in another map than before: that one may be
// on its way into a report.
func (x *run) counted(rows map[string]int64) {
	x.saving.Lock()
	defer x.saving.Unlock()
	x.m.Stats.Rows, x.countedAt = rows, x.m.Stats.Captured
}

// recount counts the rows anew, while nobody waits for it, where so much has changed since
// they were counted that it may not be quick under seal any more. Of those that are many, and
// none of which is to be counted, that makes no difference.
func (x *run) recount(ctx context.Context, c crossing) error {
	tables, _ := x.countable()
	if len(tables) == 0 || x.m.Stats.Captured-x.countedAt < x.countedMost {
		return nil
	}
	rows := map[string]int64{}
	if err := c.from.Read(ctx, func(r backends.Reader) error { return countRows(r, x.directory.Catalog(), rows) }); err != nil {
		return err
	}
	x.counted(rows)
	return nil
}

// countSealed compares counts while nobody writes, and says of what it did not.
func (x *run) countSealed(ctx context.Context, c crossing) error {
	tables, all := x.countable()
	want, have := map[string]int64{}, map[string]int64{}
	if len(tables) > 0 {
		both, ctx := errgroup.WithContext(ctx)
		for s, into := range map[backends.Store]map[string]int64{c.from: want, c.to: have} {
			both.Go(func() error {
				return s.Read(ctx, func(r backends.Reader) error { return countTables(r, tables, into) })
			})
		}
		if err := both.Wait(); err != nil {
			return err
		}
	}
	for table, n := range want {
		if have[table] != n {
			return x.judged(sealedCountsGate, &mismatchError{fmt.Sprintf("verification failed: %s has %d rows, its copy %d; nothing was cut over", table, n, have[table])})
		}
	}
	rows := maps.Clone(x.m.Stats.Rows)
	maps.Copy(rows, want)
	x.counted(rows)
	x.gate(sealedCountsGate, x.sealedCounts(tables, all))
	return nil
}

// countable are the tables whose rows can be counted quickly: all, or else of those that
// the servers' own sums say nothing about as many as can, the smallest first.
func (x *run) countable() (tables []*backends.Table, all bool) {
	rows := x.m.Stats.Rows
	var known int64
	for _, n := range rows {
		known += n
	}
	moving := slices.Clone(x.directory.Catalog().Moving())
	if known <= x.countedMost {
		return moving, true
	}
	slices.SortFunc(moving, func(a, b *backends.Table) int { return cmp.Compare(rows[a.Name], rows[b.Name]) })
	var counted int64
	for _, t := range moving {
		if !slices.Contains(x.m.Stats.Unsummed, t.Name) {
			continue
		}
		if counted += rows[t.Name]; counted > x.countedMost {
			break
		}
		tables = append(tables, t)
	}
	return tables, false
}

// sealedCounts is what the report says of the counts, and of what nothing but digests
// was compared.
func (x *run) sealedCounts(counted []*backends.Table, all bool) string {
	if all {
		return "equal"
	}
	names := tablesOf(counted)
	text := fmt.Sprintf("not compared: counting over %d rows would hold writes up", x.countedMost)
	if len(names) > 0 {
		text = fmt.Sprintf("equal in %s; elsewhere %s", strings.Join(names, ", "), text)
	}
	bare := slices.DeleteFunc(slices.Clone(x.m.Stats.Unsummed), func(name string) bool { return slices.Contains(names, name) })
	if len(bare) > 0 {
		text += fmt.Sprintf("; of %s, written all the time, neither sums nor counts were compared, only every row by digest", strings.Join(bare, ", "))
	}
	return text
}
