package migration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"smartseller/backends"
)

// The performance gate asks both places the same questions and takes the best of
// several answers, which a busy machine disturbs least. What it finds is a place
// that is slow by itself: a disk or a network that is no match. It looks rows up by their
// keys, so that it does not see that another index is missing. A place may be slower than a local file and still be good: up to
// fastEnough, and as much again for each MiB of wide rows, it passes whatever the other one takes.
const (
	canaryKeys   = 20
	canaryRounds = 5
	fastEnough   = 50 * time.Millisecond
	slowerBy     = 3
	canaryPause  = 200 * time.Millisecond // before it asks again: a place that was busy may not be so then
)

// checkPerformance fails when the target is slow again and again.
func (x *run) checkPerformance(ctx context.Context) error {
	for try := 1; ; try++ {
		err := x.comparePerformance(ctx)
		var slow *mismatchError
		if !errors.As(err, &slow) || try == gateTries {
			return err
		}
		if err := pause(ctx, canaryPause); err != nil {
			return err
		}
	}
}

func (x *run) comparePerformance(ctx context.Context) error {
	var slow, fast time.Duration // of the worst table
	for _, t := range x.directory.Catalog().Moving() {
		target, bytes, err := x.timeTable(ctx, x.target, t, x.fastEnough)
		if err != nil {
			return err
		}
		passes := x.fastEnough + time.Duration(bytes)*x.fastEnough>>20
		enough := time.Duration(0) // the best of the source is what a slow target is held against
		if target <= passes {
			enough = passes
		}
		source, _, err := x.timeTable(ctx, x.source, t, enough)
		if err != nil {
			return err
		}
		if target > max(passes, slowerBy*source) {
			return x.refuse("performance", fmt.Sprintf("the target answers %d look-ups in %s in %s, the source in %s",
				canaryKeys, t.Name, target.Round(time.Millisecond), source.Round(time.Microsecond)),
				"look for a slow disk or a slow network at the target, or choose another one")
		}
		if target > slow {
			slow, fast = target, source
		}
	}
	x.gate("performance", fmt.Sprintf("%d look-ups take %s at the target, %s at the source", canaryKeys, slow.Round(time.Microsecond), fast.Round(time.Microsecond)))
	return nil
}

// timeTable is the best time for a page behind a random cut of the greatest key and a look-up of
// its rows, of as many tries as it takes to be within enough; bytes: of its rows, at most.
func (x *run) timeTable(ctx context.Context, s backends.Store, t *backends.Table, enough time.Duration) (best time.Duration, bytes int, err error) {
	err = s.Read(ctx, func(r backends.Reader) error {
		last, err := r.LastKey(t)
		if err != nil || last == "" {
			return err
		}
		for round := range canaryRounds {
			after := last[:rand.N(len(last))]
			began := time.Now()
			rows, _, err := r.Scan(t, after, "", canaryKeys)
			if err != nil {
				return err
			}
			keys, wide := make([]backends.Key, len(rows)), 0
			for i, row := range rows {
				keys[i] = backends.Key{Table: t.Name, ID: row.Key()}
				wide += row.Size()
			}
			bytes = max(bytes, wide)
			if _, err := r.Rows(keys); err != nil {
				return err
			}
			if took := time.Since(began); round == 0 || took < best {
				best = took
			}
			if round > 0 && best <= enough { // the first one has its statements prepared
				break
			}
		}
		return nil
	})
	return best, bytes, err
}
