package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/e2e/load"
	"smartseller/platform/testtable"
)

var (
	wholeMatrix = flag.Bool("crash-matrix", false, "kill the server at every point between all kinds of backends, not at a covering subset")
	crashSample = flag.Float64("crash-sample", 1, "share of the matrix that is drawn by lot, from 0 to 1")
	crashSeed   = flag.Uint64("crash-seed", uint64(time.Now().UnixNano()), "what -crash-sample draws by; the same number draws the same trips")
)

// deaths are those at these points, when something was asked.
func deaths(asked, points string) (out []death) {
	for _, p := range strings.Fields(points) {
		out = append(out, death{point: p, asked: asked})
	}
	return out
}

// onTheWay are the deaths of a move that is neither undone nor ended, in the order in
// which they are met: K1 to K16 of the protocol, the beginning of each phase, and where a
// target has no indexes.
var onTheWay = slices.Concat(
	deaths("", "planned preparing K1 K2 deferred copying K3 K4 loaded catching_up verifying"), deaths("pause", "paused"), deaths("", "K5 K6 canary"),
	deaths("cutover", "K7 cutting_over K8 K9 K10 K11 K12 K13 K14 K15 watching K16"))

// newFile is where a file was made, at a target that is one.
var newFile = death{point: "K19"}

// bystander is the death of a server that has no part in the move but to serve.
var bystander = death{point: anyMoment, asked: "cutover at once", bystander: true}

// atTheEnd are the deaths after a decision that ends the move: K17, which is a rollback
// at each of K8 to K15, and K18.
var atTheEnd = [][]death{
	deaths("finalize", "finalizing erasing K18"),
	deaths("cancel", "cancelling erasing"),
	deaths("rollback", "rolling_back K17 K8 K9 K10 K11"),
	deaths("rollback", "K12 K13 K14 K15 erasing"),
}

// TestCrashes kills the server at the named points of moves between all kinds of
// backends, under load, and lets the moves end either way. Without the flag it is a
// covering subset.
func TestCrashes(t *testing.T) {
	t.Parallel()
	courses, between := subset(), " to "
	if *wholeMatrix {
		courses, between = matrix(), " and "
		t.Logf("%d trips, drawn by -crash-seed %d", count(courses), *crashSeed)
	}
	var table passages
	var names []string
	t.Cleanup(func() {
		testtable.Show(t, table.String())
		if *wholeMatrix && len(table.rows) == 0 && !t.Failed() {
			t.Errorf("no trip was made: COURSE names none of the courses, or SAMPLE draws no trip. Drawn were: %s", strings.Join(names, "; "))
		}
	})
	for _, c := range courses {
		name := c.from + between + c.to
		if c.pair {
			name += ", two instances"
		}
		names = append(names, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			late := measureLateness(t)
			c.run(t, func(seen passage) {
				table.add(seen)
				if c.pair { // alone, nobody opens the storefront before the server is started again
					require.Less(t, seen.stall, time.Second+5*late(), "%s, sealed for too long", seen.died())
				}
			})
		})
	}
}

// subset meets each death once on a way to the end and once on a way that is undone,
// and each ordered pair of kinds. A way to the end has several deaths.
func subset() (courses []course) {
	n := len(kinds)
	for i := range n * n {
		c := course{from: kinds[i/n], to: kinds[i%n]}
		var march, undone []death
		if c.from != "files" && c.to == "files" {
			march, undone = []death{newFile}, []death{newFile}
		}
		for k, d := range onTheWay {
			switch k % (n * n) {
			case i:
				march = append(march, d)
			case (i + 4) % (n * n):
				undone = append(undone, d)
			}
		}
		for _, d := range undone {
			c.trips = append(c.trips, trip{deaths: []death{d}, undo: true})
		}
		if i < len(atTheEnd) {
			c.trips = append(c.trips, trip{deaths: atTheEnd[i]})
		}
		c.trips = append(c.trips, trip{deaths: march})
		courses = append(courses, c)
	}
	one := func(point, asked string, undo, stopped bool) trip {
		return trip{deaths: []death{{point: point, asked: asked, stopped: stopped}}, undo: undo}
	}
	return append(courses,
		course{from: "files", to: "shared", pair: true, trips: []trip{
			one("K10", "cutover", true, false), one("K3", "", true, true), one("K12", "cutover", false, true),
		}},
		course{from: "dedicated", to: "shared", pair: true, trips: []trip{
			one("K12", "cutover", true, false), one("K9", "cutover", true, true), one("K11", "rollback", false, false), one("K13", "cutover", false, false),
			{deaths: []death{bystander}},
		}})
}

// matrix is everything: each death alone, and some at any moment, once to the end and
// once undone, between each ordered pair of kinds, by one instance that is started again
// and by two, of which the one that runs the move dies or stands still, or the other one dies.
// A course goes both ways between two kinds, the longest ones first.
func matrix() (courses []course) {
	lot := rand.New(rand.NewPCG(*crashSeed, 0))
	drawn := func(trips []trip) []trip {
		return slices.DeleteFunc(trips, func(trip) bool { return lot.Float64() >= *crashSample })
	}
	for i, from := range kinds {
		for _, to := range kinds[i:] {
			for _, pair := range []bool{true, false} {
				c := course{from: from, to: to, pair: pair, trips: drawn(every(from, to, pair))}
				if to != from {
					c.trips = bothWays(c.trips, drawn(every(to, from, pair)))
				}
				if len(c.trips) > 0 {
					courses = append(courses, c)
				}
			}
		}
	}
	slices.SortStableFunc(courses, func(a, b course) int { return len(b.trips) - len(a.trips) })
	return courses
}

// every is each trip one way.
func every(from, to string, pair bool) (trips []trip) {
	lots := slices.Repeat([]death{{point: anyMoment, asked: "cutover at once"}}, 5)
	deaths := slices.Concat(onTheWay, slices.Concat(atTheEnd...), lots)
	if to == "files" {
		deaths = append(deaths, newFile)
	}
	for _, d := range deaths {
		trips = append(trips, each(d)...)
		d.stopped = true
		locks := (d.point == "K9" || d.point == anyMoment) && (from == "files" || to == "files") // whoever stands still with a file locked has it locked
		if pair && !locks {
			trips = append(trips, each(d)...)
		}
	}
	if pair {
		trips = append(trips, slices.Repeat(each(bystander), 2)...)
	}
	return trips
}

// bothWays puts two ways into one: who has arrived sets out from there on the other one's next trip.
// Where one way has more of them, the storefront goes back undisturbed.
func bothWays(there, back []trip) (trips []trip) {
	stay, arrive := parted(there)
	stayAway, comeBack := parted(back)
	trips = stay
	for n := range max(len(arrive), len(comeBack), min(1, len(stayAway))) {
		trips = append(trips, nth(arrive, n))
		if n == 0 {
			trips = append(trips, stayAway...)
		}
		trips = append(trips, nth(comeBack, n))
	}
	return trips
}

// parted tells trips that end where they began from those that arrive at the other place.
func parted(trips []trip) (stay, arrive []trip) {
	for _, r := range trips {
		if end := r.decided(); r.undo || end == "cancelled" || end == "rolled_back" {
			stay = append(stay, r)
		} else {
			arrive = append(arrive, r)
		}
	}
	return stay, arrive
}

// nth is a trip of these, or an undisturbed one.
func nth(trips []trip, n int) trip {
	if n < len(trips) {
		return trips[n]
	}
	return trip{}
}

func count(courses []course) (trips int) {
	for _, c := range courses {
		trips += len(c.trips)
	}
	return trips
}

// each is a death on the way to every end that it may have.
func each(d death) []trip {
	r := trip{deaths: []death{d}}
	if r.decided() != "" {
		return []trip{r}
	}
	return []trip{{deaths: r.deaths, undo: true}, r}
}

// passage is one trip that was made.
type passage struct {
	trip
	from, to string // backends
	pair     bool
	ended    string
	load     load.Report
	stall    time.Duration // that the move says
	took     time.Duration
}

// passages is the table of them. Safe for concurrent use.
type passages struct {
	mu   sync.Mutex
	rows []string
}

// died names the deaths, and what was asked before them.
func (seen passage) died() string {
	var words []string
	if seen.mode != "" {
		words = append(words, seen.mode+":")
	}
	for i, d := range seen.deaths {
		word := d.point
		if d.stopped {
			word = "stopped " + word
		}
		if d.bystander {
			word = "a bystander at " + word
		}
		if d.asked != "" && (i == 0 || seen.deaths[i-1].asked != d.asked) {
			word = d.asked + ": " + word
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (p *passages) add(seen passage) {
	who := "itself"
	if seen.pair && !slices.ContainsFunc(seen.deaths, func(d death) bool { return d.bystander }) {
		who = "another"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = append(p.rows, fmt.Sprintf("%s -> %s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s", seen.from, seen.to, seen.died(), who, seen.ended,
		seen.load.Writes, seen.load.Verified, seen.load.Failures, seen.load.Unanswered, seen.load.Longest().Round(time.Millisecond), seen.stall.Round(time.Millisecond), seen.took.Round(100*time.Millisecond)))
}

func (p *passages) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.rows)
	var out strings.Builder
	fmt.Fprintf(&out, "\n%d trips", len(p.rows))
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nmove\tdied at\tgone on by\tended\twrites\tverified\tfailures\tunanswered\tlongest wait\tsealed\ttook")
	for _, row := range p.rows {
		fmt.Fprintln(w, row)
	}
	_ = w.Flush() // into memory
	return out.String()
}
