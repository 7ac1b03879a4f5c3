package migration

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// crashPoints are the named points of a move at which its coordinator dies. K9 lies
// between lock and commit of one transaction, K19 in the kernel.
var crashPoints = func() (points []string) {
	for k := 1; k <= 18; k++ {
		if k != 9 {
			points = append(points, "K"+strconv.Itoa(k))
		}
	}
	return points
}()

// crash is a move from one backend to another whose coordinator dies at a point;
// another instance takes over, once to the end and once to undo it.
type crash struct {
	point, from, to string
	undo            bool
}

func (c crash) String() string {
	return fmt.Sprintf("%s %s to %s %s", c.point, c.from, c.to, map[bool]string{false: "finish", true: "undo"}[c.undo])
}

// crashes meet every point, every ordered pair of kinds and both ways to go on.
func crashes() (out []crash) {
	var pairs [][2]string
	for _, from := range []string{"one", "shared", "dedicated"} {
		for _, to := range []string{"two", "shared-2", "dedicated-2"} {
			pairs = append(pairs, [2]string{from, to})
		}
	}
	for n, point := range crashPoints {
		pair := pairs[(n*4+1)%len(pairs)] // 4 has no factor in common with 9: every pair's turn comes
		out = append(out, crash{point, pair[0], pair[1], n%2 == 0})
	}
	for n, point := range []string{"deferred", "loaded"} { // between them a target of the storefront's own has no indexes
		out = append(out, crash{point, "shared", "dedicated-2", n == 0}, crash{point, "shared", "two", n == 1})
	}
	return out
}

// TestCrashes drops the coordinator at every point, under load all the time, with an
// instance whose cache is old beside the one that takes over. Package e2e kills
// processes.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for _, c := range crashes() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func (c crash) run(t *testing.T) {
	w := newWorld(t)
	if c.from != "one" || c.to != "two" {
		w = newWideWorld(t)
	}
	var dead atomic.Bool
	first := w.instance(t, func(_ context.Context, p string) error {
		if p == c.point || dead.Load() {
			dead.Store(true)
			return errCrash
		}
		return nil
	})
	id := first.storefrontOn(t, c.from, 1200)
	l := startLoad(id, first.router)
	m := startTo(t, first, id, c.to, Options{})
	if c.point == "K17" || c.point == "K18" {
		first.waitFor(t, m.ID, Watching)
		ask(t, first, m.ID, map[bool]Intent{true: WantRollback, false: WantFinalize}[c.point == "K17"])
	}
	require.Eventually(t, dead.Load, waitLong, waitStep, "the point was not reached")
	first.runner.Stop()
	second := w.instance(t, nil)
	defer second.stop()
	t.Cleanup(func() { first.runner.Start() }) // so that stopping twice is no panic
	l.use(first.router, second.router)         // the dead one's router is an instance with an old cache
	c.goOn(t, w, second, id, m.ID)
	l.check(t, second.router)
}

// goOn lets the second instance take the move where it was to go.
func (c crash) goOn(t *testing.T, w *world, second *instance, id backends.StorefrontID, move string) {
	got, err := second.service.Get(context.Background(), move)
	require.NoError(t, err)
	switch {
	case c.point == "K17":
		second.waitFor(t, move, RolledBack)
	case c.point == "K18":
		second.waitFor(t, move, Completed)
	case c.undo && got.Cut != Committed:
		_, err := second.service.Ask(context.Background(), move, WantCancel)
		if err != nil { // it was faster
			require.ErrorContains(t, err, "not possible now")
		}
		end := second.waitFor(t, move, Cancelled, Watching)
		if end.Phase == Cancelled {
			second.requireAt(t, id, c.from, 1)
			require.Empty(t, w.files(t, c.to, id))
		}
	case c.undo:
		second.waitFor(t, move, Watching)
		ask(t, second, move, WantRollback)
		second.waitFor(t, move, RolledBack)
		second.requireAt(t, id, c.from, 3)
	default:
		second.waitFor(t, move, Watching)
		ask(t, second, move, WantFinalize)
		second.waitFor(t, move, Completed)
		second.requireAt(t, id, c.to, 2)
	}
}
