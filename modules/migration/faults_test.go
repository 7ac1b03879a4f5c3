package migration

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/pgserver"
	"smartseller/platform/pgserver/badwire"
	"smartseller/platform/testtable"
)

// outage is what happens to something that a move needs, and what must come of it.
type outage struct {
	point string // where the mover stands when it begins
	// serves: the storefront takes writes meanwhile, and no request of it fails.
	serves bool
	asked  Intent // of a move that is watching, so that it gets to the point
	ends   Phase  // of the move, when the outage is over
	cause  string // of a move that failed; "": that something cannot be reached
	rows   int    // of the storefront; 0: 600
}

// victim is one of the three servers that a move needs.
type victim struct {
	name, from, to string
	killed, silent []outage
}

// victims are sampled over the crash points. Where a storefront is not served, its own
// place is away, or the control database while nobody but that may decide where it is.
var victims = []victim{
	{
		name: "source", from: "own", to: "two",
		killed: []outage{
			{point: "K3", ends: Watching},
			{point: "K6", ends: Watching},
			{point: "K10", ends: Watching},
			{point: "K12", ends: Watching},
			{point: "K14", ends: Watching, serves: true},
			{point: string(Finalizing), ends: Completed, serves: true, asked: WantFinalize},
		},
		silent: []outage{
			{point: "K3", ends: Watching},
			{point: "K10", ends: Watching},
		},
	},
	{
		name: "target", from: "one", to: "own",
		killed: []outage{
			{point: "K1", ends: Watching, serves: true},
			{point: "K4", ends: Watching, serves: true},
			{point: "K10", ends: Watching, serves: true},
			{point: "K12", ends: Watching},
			{point: "K14", ends: Watching},
			{point: "K17", ends: RolledBack, asked: WantRollback},
		},
		silent: []outage{
			{point: "K4", ends: Watching, serves: true},
			{point: "K10", ends: Watching},
		},
	},
	{
		name: "control database", from: "one", to: "two",
		killed: []outage{
			{point: "K2", ends: Watching, serves: true},
			{point: "K8", ends: Watching},
			{point: "K10", ends: Watching},
			{point: "K12", ends: Watching},
			{point: "K13", ends: Watching},
			{point: "K15", ends: Watching, serves: true},
		},
		silent: []outage{
			{point: "K2", ends: Watching, serves: true},
			{point: "K12", ends: Watching},
		},
	},
}

// TestServersGoAway kills the server of the source, of the target and of the control
// database in the middle of moves under load, or cuts its wire half-open, and lets it
// come back when the mover has noticed.
func TestServersGoAway(t *testing.T) {
	t.Parallel()
	var seen faultTable
	t.Cleanup(func() { testtable.Show(t, seen.String()) })
	for _, v := range victims {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			v.run(t, &seen)
		})
	}
}

func (v victim) run(t *testing.T, seen *faultTable) {
	server := startServer(t)
	wire := badwire.New(t, server.AdminDSN())
	w := newWorld(t)
	if v.name == "control database" {
		w.dsn = impatient(t, wire.DSN(server.AdminDSN()))
	} else {
		w.own.admin, w.own.app = impatient(t, wire.DSN(server.AdminDSN())), impatient(t, wire.DSN(server.DSN("postgres", "app")))
	}
	w.ear = &ear{}
	at := &stage{}
	i := w.instance(t, at.hook)
	for _, f := range []struct {
		name       string
		outages    []outage
		begin, end func()
	}{
		{"killed", v.killed, func() { require.NoError(t, server.Kill()) }, func() { require.NoError(t, server.Restart(context.Background())) }},
		{"silent", v.silent, wire.Silence, wire.Speak},
	} {
		for _, o := range f.outages {
			t.Run(f.name+" at "+o.point, func(t *testing.T) {
				row := v.suffer(t, w, i, at, o, func(backends.StorefrontID) { f.begin() }, f.end)
				row.fault = v.name + "'s server " + f.name
				seen.add(row)
			})
		}
	}
}

// suffer makes one move with an outage on its way.
func (v victim) suffer(t *testing.T, w *world, i *instance, at *stage, o outage, begin func(backends.StorefrontID), end func()) faultRow {
	id := i.storefrontOn(t, v.from, cmp.Or(o.rows, 600))
	s := scene{startLoad(id, i.router), t}
	s.tolerant = !o.serves && v.name != "control database"
	if o.asked == NoIntent {
		at.set(o.point)
	}
	m := startTo(t, i, id, v.to, Options{})
	if o.asked != NoIntent {
		i.waitFor(t, m.ID, Watching)
		at.set(o.point)
		ask(t, i, m.ID, o.asked)
	}
	happens(t, at.reached, "a mover at "+o.point)
	of := m.ID
	if v.name == "control database" {
		of = ""
	}
	noticed := w.ear.next(of)
	began := time.Now()
	begin(id)
	close(at.goOn)
	happens(t, noticed, "a mover that notices the outage")
	row := faultRow{point: o.point, meanwhile: "waits"}
	if o.serves {
		s.writes()
		row.meanwhile = "served"
	}
	end()
	ended := time.Now()
	s.writes()
	row.away, row.open = ended.Sub(began), time.Since(ended)
	m = i.waitFor(t, m.ID, o.ends)
	row.ended, row.cause = m.Phase, m.Cause
	if m.Phase == Failed {
		require.Contains(t, m.Cause, cmp.Or(o.cause, "cannot be reached"))
		require.NotEmpty(t, m.Advice)
	}
	s.outweigh()
	s.check(t, i.router)
	row.longest = s.longest
	if o.serves {
		require.Less(t, row.longest, patient, "a customer would have been refused")
	}
	require.Less(t, row.open, openSoon, "the storefront stayed closed when the outage was over")
	return row
}

// patient is for how long a request waits for a closed place where customers are served; the
// load of these tests waits longer, so that it sees how long that is. openSoon is the second for
// which a place may stay sealed behind an outage, and twice as much where other tests keep the processors busy.
const (
	patient  = 2 * time.Second
	openSoon = 3 * time.Second
)

// writes waits until a write is acknowledged; one that is refused is tried again, if
// requests may fail.
func (s scene) writes() {
	s.t.Helper()
	c := &client{load: s.load, number: loadClients + 1}
	var err error
	require.Eventually(s.t, func() bool {
		err = c.put(hotCell)
		return err == nil || !s.tolerant
	}, waitLong, waitStep)
	require.NoError(s.t, err)
}

// outweigh lets the load go on until most of its requests were answered again.
func (s scene) outweigh() {
	require.Eventually(s.t, func() bool {
		asked, acknowledged := s.history.Size()
		return acknowledged > asked*2/3
	}, waitLong, waitStep)
}

// stage stops a mover at a point, once, while a test changes the world.
type stage struct {
	mu            sync.Mutex
	point         string
	reached, goOn chan struct{}
}

func (s *stage) set(point string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.point, s.reached, s.goOn = point, make(chan struct{}), make(chan struct{})
}

func (s *stage) hook(_ context.Context, point string) error {
	s.mu.Lock()
	if point != s.point {
		s.mu.Unlock()
		return nil
	}
	s.point = ""
	reached, goOn := s.reached, s.goOn
	s.mu.Unlock()
	close(reached)
	<-goOn
	return nil
}

// ear hears what instances warn of.
type ear struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// next is closed at the next warning about a move; "": about none.
func (e *ear) next(move string) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting == nil {
		e.waiting = map[string]chan struct{}{}
	}
	c := make(chan struct{})
	e.waiting[move] = c
	return c
}

func (w *world) listen(to slog.Handler) slog.Handler {
	if w.ear == nil {
		return to
	}
	return overheard{to, w.ear}
}

type overheard struct {
	slog.Handler
	ear *ear
}

// Enabled: what a move met before may have been its trouble's first word already.
func (o overheard) Enabled(context.Context, slog.Level) bool { return true }

func (o overheard) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn || r.Message == "a step of a move did not work" {
		move := ""
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "move" {
				move = a.Value.String()
			}
			return true
		})
		o.ear.mu.Lock()
		if c := o.ear.waiting[move]; c != nil {
			close(c)
			delete(o.ear.waiting, move)
		}
		o.ear.mu.Unlock()
	}
	if !o.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return o.Handler.Handle(ctx, r)
}

// startServer starts a server that a test may kill.
func startServer(t *testing.T) *pgserver.Server {
	server, err := pgserver.Start(context.Background(), pgserver.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	db, err := sql.Open("postgres", server.AdminDSN())
	require.NoError(t, err)
	_, err = db.Exec(`CREATE ROLE app LOGIN PASSWORD '` + server.Password() + `'`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return server
}

// impatient waits no longer than a second or two for an answer.
func impatient(t *testing.T, dsn string) string {
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set("answer_timeout", "2")
	u.RawQuery = q.Encode()
	return u.String()
}

// faultRow is what came of one fault.
type faultRow struct {
	fault, point, meanwhile string
	away                    time.Duration // how long the outage lasted
	open                    time.Duration // from its end to the first write that was acknowledged
	longest                 time.Duration // that a request took
	ended                   Phase
	cause                   string
}

// faultTable is the table of them. Safe for concurrent use.
type faultTable struct {
	mu   sync.Mutex
	rows []string
}

func (f *faultTable) add(r faultRow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", r.fault, r.point, r.away.Round(10*time.Millisecond), r.meanwhile,
		r.open.Round(time.Millisecond), r.longest.Round(time.Millisecond), r.ended, r.cause))
}

func (f *faultTable) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.rows)
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nfault\tbegan at\taway for\tstorefront meanwhile\topen after\tlongest request\tmove\tcause")
	for _, row := range f.rows {
		fmt.Fprintln(w, row)
	}
	_ = w.Flush() // into memory
	return out.String()
}
