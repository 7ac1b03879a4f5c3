package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	writers      = 16
	writesASec   = 160
	medianStall  = 50 * time.Millisecond
	longestStall = 250 * time.Millisecond
	longestRead  = 25 * time.Millisecond

	usual  = 4 * time.Second // that show what requests take without a cutover, until
	before = time.Second     // in which the mover gets ready for it
)

// cutover is what the customers felt who asked while a storefront changed its place:
// the longest request of each kind, from its beginning to its end.
type cutover struct{ write, read, stall time.Duration }

// measureCutovers moves the reference storefront to and fro while customers write. A
// rollback cuts over as a move does, but needs no copy.
func measureCutovers(ctx context.Context, w *world, r *report) error {
	crowd, err := w.customersOf(ctx, "reference", writers, writesASec)
	if err != nil {
		return err
	}
	felt := map[string][]cutover{}
	crowd.Start(ctx)
	defer crowd.Stop()
	for len(felt[forward]) < w.cutovers {
		err := w.thereAndBack(ctx, "reference", "dedicated", func(way string, m shown) error {
			committed, stall := m.committed(way)
			sealed := committed.Add(-stall)
			writes, reads := under(crowd, sealed, committed.Add(stall))
			c := cutover{quantile(writes, 1), quantile(reads, 1), stall} // 0 where nobody was there to wait
			felt[way] = append(felt[way], c)
			readyWrites, readyReads := under(crowd, sealed.Add(-before), sealed)
			usualWrites, usualReads := under(crowd, sealed.Add(-before-usual), sealed.Add(-before))
			fmt.Fprintf(os.Stderr, "%s: longest write %v of %d, longest read %v of %d, the mover says %v; in the second before %v, %v; in the four before %v, %v\n",
				way, c.write, len(writes), c.read, len(reads), c.stall,
				quantile(readyWrites, 1), quantile(readyReads, 1), quantile(usualWrites, 1), quantile(usualReads, 1))
			return nil
		}, "--unpaced")
		if err != nil {
			return err
		}
	}
	crowd.Stop()
	for _, way := range []string{forward, back} {
		if err := r.cutovers(way, felt[way]); err != nil {
			return err
		}
	}
	return crowd.Verify(ctx)
}

// committed is when a move changed the placement, there or back, and how long writes
// waited for that by the mover's clock.
func (m shown) committed(way string) (at time.Time, stall time.Duration) {
	micros, waited := m.Stats.CommittedAt, m.Stats.StallMicros
	if way == back {
		micros, waited = m.Stats.BackAt, m.Stats.BackStall
	}
	return time.UnixMicro(micros), time.Duration(waited) * time.Microsecond
}

// cutovers adds what was felt, against what may be. A cutover of a few milliseconds may
// meet no reader, which says that it delayed none; one after the other says that nobody read.
func (r *report) cutovers(way string, all []cutover) error {
	var writes, reads, stalls []time.Duration
	for _, c := range all {
		writes, reads, stalls = append(writes, c.write), append(reads, c.read), append(stalls, c.stall)
	}
	if quantile(writes, 0.5) == 0 || quantile(reads, 0.5) == 0 {
		return fmt.Errorf("%s: in most of %d nobody wrote, or nobody read: nothing is measured", way, len(all))
	}
	bound := fmt.Sprintf("what it may be, of %d under %d writers", len(all), writers)
	r.millis(way+", longest write: median", quantile(writes, 0.5), bound, medianStall, 1)
	r.millis(way+", longest write: worst", quantile(writes, 1), bound, longestStall, 1)
	r.millis(way+", longest read: worst", quantile(reads, 1), bound, longestRead, 1)
	r.millis(way+", longest read: median", quantile(reads, 0.5), bound, longestRead, 0)
	r.millis(way+", stall by the mover's clock: median", quantile(stalls, 0.5), bound, medianStall, 0)
	return nil
}

// millis adds the ratio of two durations of a request.
func (r *report) millis(name string, ours time.Duration, peerIs string, peer time.Duration, target float64) {
	r.add(figure{Name: name, Ours: ours.Seconds() * 1000, Peer: peer.Seconds() * 1000, Unit: "ms", Target: target, PeerIs: peerIs})
}
