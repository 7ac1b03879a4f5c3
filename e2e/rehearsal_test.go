package e2e

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/testtable"
)

// TestRehearsalsOutliveTheirServer: rehearsals under load whose server is killed, or stands
// still, on the way, under seal, at the commit that does not come, and while it cleans up. The
// other one ends them: nothing acknowledged is missing, nothing is left behind, and writes
// waited for less than a second.
func TestRehearsalsOutliveTheirServer(t *testing.T) {
	t.Parallel()
	rehearsals := func(points ...string) (trips []trip) {
		for i, p := range points {
			trips = append(trips, trip{mode: "rehearsal", deaths: []death{{point: p, stopped: i%3 == 2}}})
		}
		return trips
	}
	var table passages
	t.Cleanup(func() { testtable.Show(t, table.String()) })
	for _, c := range []course{
		{from: "files", to: "shared", pair: true, trips: rehearsals("K3", "K10", "cancelling")},
		{from: "dedicated", to: "files", pair: true, trips: rehearsals("K8", "erasing", "K12", "aborted")},
	} {
		t.Run(c.from+" to "+c.to, func(t *testing.T) {
			t.Parallel()
			late := measureLateness(t)
			c.run(t, func(seen passage) {
				table.add(seen)
				lateness := late()
				t.Logf("%s at %s: writes waited %s; this machine was late by up to %s", seen.ended, seen.died(), seen.stall, lateness)
				require.Less(t, seen.stall, time.Second+5*lateness, "%s, sealed for too long", seen.died())
			})
		})
	}
}

// measureLateness says by how much this machine was late at most since it was asked last, so
// that a bound in time can be told from processors that others keep busy.
func measureLateness(t *testing.T) (late func() time.Duration) {
	const every = 10 * time.Millisecond
	var most atomic.Int64
	ended := make(chan struct{})
	go func() {
		for before := time.Now(); ; before = time.Now() {
			select {
			case <-ended:
				return
			case <-time.After(every):
				most.Store(max(most.Load(), int64(time.Since(before)-every)))
			}
		}
	}()
	t.Cleanup(func() { close(ended) })
	return func() time.Duration { return time.Duration(most.Swap(0)) }
}
