package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/e2e/load"
	"smartseller/platform/control"
	"smartseller/platform/pgserver/pgtest"
)

// death is a point at which the server that runs a move dies, by its own hand; anyMoment
// is none, and the hand another one.
type death struct {
	point string
	// asked is what must be asked of the move so that it gets there: cutover, pause
	// (and resume), cancel, rollback, finalize; "" when nothing must.
	asked string
	// stopped: the server does not die, it stands still until another one has taken
	// the move over.
	stopped bool
	// bystander: the other server of a pair dies, which serves and does not run the move.
	bystander bool
}

// anyMoment is one of the first moments of a move, which goes right through.
const (
	anyMoment    = "any moment"
	firstMoments = 3 * time.Second
)

// trip is one move of the storefront: the deaths on its way, in order, and how it is
// to end, unless what was asked decides that: at the other place or, undone, where it was.
// One in mode rehearsal goes right through and ends where it was.
type trip struct {
	deaths []death
	undo   bool
	mode   string
}

// decided is how the trip must end because of what was asked; "": see undo.
func (r trip) decided() string {
	ends := map[string]string{"cancel": "cancelled", "rollback": "rolled_back", "finalize": "completed"}
	if r.mode == "rehearsal" {
		return "rehearsed"
	}
	for _, d := range slices.Backward(r.deaths) {
		if end := ends[d.asked]; end != "" {
			return end
		}
	}
	return ""
}

// course is one installation whose storefront makes trips between two backends,
// under load all the time.
type course struct {
	from, to string // kinds of backends; a trip that arrives at the other place turns them round
	// pair: two instances share a control database in Postgres, and the second one
	// takes over. Otherwise the server that died is started again.
	pair  bool
	trips []trip
}

// journey is a course under way.
type journey struct {
	course
	t             *testing.T
	first, second *program    // the first one dies; the second one is there in a pair only
	ledger        *control.DB // a pair's control database, in Postgres; nil: a file
	id            string      // the storefront's
	home, away    string      // backends
	others        map[string]map[string]string
	load          *load.Load
	inService     atomic.Pointer[[]*program] // whom the load asks, as a balancer would
	mode          string                     // of the trip under way
	overtaken     bool                       // the first one did not come to the point of the trip under way
	late          int                        // trips in which it did not
	generation    int64                      // fencing number by which it has the move of the trip under way
}

// run makes the trips of the course, and checks after each that nothing was lost.
func (c course) run(t *testing.T, report func(passage)) {
	j := &journey{course: c, t: t, home: c.from + "-1", away: c.to + "-2"}
	j.begin()
	for i, r := range c.trips {
		left := fmt.Sprintf("FAILED, and %d trips were not made", len(c.trips)-i-1)
		for home := j.home; !j.travel(r, left, report); {
			j.late++
			require.LessOrEqual(t, j.late, overtakenMost+len(c.trips)/20, "servers that were to die were overtaken again and again, at %s the last time", passage{trip: r}.died())
			if j.home != home { // it is made again the same way
				j.travel(trip{}, left, report)
			}
		}
	}
}

// overtakenMost is in how many trips of a course, and one of twenty more, the server may not come
// to its point: on busy processors the other one takes the move over before, as it should.
const overtakenMost = 2

// travel makes a trip and reports it; false: without its death.
func (j *journey) travel(r trip, left string, report func(passage)) bool {
	seen := passage{from: j.home, to: j.away, pair: j.pair, trip: r, ended: left}
	defer func() { // also of a trip that fails, which ends the test
		report(seen)
		if j.t.Failed() {
			j.tell(seen)
		}
	}()
	j.overtaken = false
	j.make(r, &seen)
	if j.overtaken {
		seen.ended += ", overtaken"
	}
	return !j.overtaken
}

// tell says of a trip that failed what happened when.
func (j *journey) tell(seen passage) {
	for _, p := range j.servers() { // first: the control database may be away
		j.t.Logf("%s: %s", p.url(), &p.log)
	}
	var events []struct {
		At         int64
		Kind, Data string
	}
	j.control(func(tx control.Tx) error {
		return tx.Select(&events, `SELECT at, kind, data FROM move_events WHERE kind <> 'progress'
			AND move_id = (SELECT max(id) FROM moves WHERE storefront_id = $1) ORDER BY seq`, j.id)
	})
	j.t.Logf("%s -> %s, %s:", seen.from, seen.to, seen.died())
	for _, e := range events {
		j.t.Logf("%s %s %s", time.UnixMicro(e.At).UTC().Format(time.TimeOnly+".000"), e.Kind, e.Data)
	}
}

func (j *journey) begin() {
	settings := []string{"SMARTSELLER_MOVE_LEASE=1s", "SMARTSELLER_LOG_LEVEL=warn"}
	if j.pair { // whose lease only a dead instance may lose
		settings = []string{"SMARTSELLER_MOVE_LEASE=3s", "SMARTSELLER_LOG_LEVEL=warn", "SMARTSELLER_CONTROL=" + pgtest.Database(j.t)}
	}
	j.first = install(j.t, settings...)
	j.first.addBackends(j.t)
	if j.pair {
		j.second = prepare(j.t, settings...)
		j.second.folder = j.first.folder
		j.second.serve(j.t)
		var err error
		j.ledger, err = control.Open(context.Background(), j.first.controlDSN())
		require.NoError(j.t, err)
		j.t.Cleanup(func() { require.NoError(j.t, j.ledger.Close()) })
	}
	j.id = j.first.create(j.t, "shop", j.home)
	j.first.offers(j.t, "shop", item{handle: "s", inventory: 60, sizes: []string{"S", "M", "L"}})
	var others []string
	for slug, backend := range map[string]string{"neighbour": j.home, "stranger": j.away} {
		others = append(others, j.first.create(j.t, slug, backend))
		j.first.crowd(j.t, slug, func(o *load.Options) { o.Workers, o.Customers = 1, 1 })
	}
	j.first.inspect(j.t, func(a *audit) {
		j.others = map[string]map[string]string{}
		for _, id := range others {
			j.others[id] = a.digests(a.at(id).Place)
		}
	})
	j.serving(j.servers()...)
	j.load = j.survivor().crowd(j.t, "shop", func(o *load.Options) {
		o.Workers, o.Customers, o.Rate, o.Restarts, o.Server = 3, 2, 12, true, j.server
	})
	j.load.Start(context.Background())
}

// survivor is the server that goes on, or is started again.
func (j *journey) survivor() *program {
	if j.pair {
		return j.second
	}
	return j.first
}

// make makes one trip and checks it.
func (j *journey) make(r trip, seen *passage) {
	began := time.Now()
	j.mode = r.mode
	var source, target backends.Place
	j.first.inspect(j.t, func(a *audit) {
		at := a.at(j.id)
		source = at.Place
	})
	j.written()
	move := ""
	for i, d := range r.deaths {
		if i > 0 && r.deaths[i-1].asked == d.asked {
			d.asked = "" // once is enough
		}
		move = j.die(d, move, r.undo)
	}
	j.revive()
	if move == "" {
		move = j.start()
	}
	ended := j.end(move, r)
	j.first.inspect(j.t, func(a *audit) { target = a.target(move) })
	left, gone := source, target
	if ended == "completed" {
		left, gone = target, source
		j.home, j.away = j.away, j.home
	}
	j.check(left, gone)
	waited := j.survivor().move(j.t, move).Stats
	seen.stall = time.Duration(max(waited.StallMicros, waited.BackStall)) * time.Microsecond
	seen.ended, seen.load, seen.took = ended, j.load.Since(began), time.Since(began)
	j.load.Start(context.Background())
}

// revive starts the first server again if it is dead. It may die again.
func (j *journey) revive() {
	if j.first.dead() {
		j.first.launch(j.t)
		j.first.answers(j.t)
		j.serving(j.servers()...)
	}
}

// start starts a move at the first server, which is to run it and may die before it
// answers.
func (j *journey) start() (id string) {
	j.alone(func() {
		j.first.adminBy(j.t, j.first.impatient(), "POST", "moves", map[string]any{
			"storefront_id": j.id, "target": j.away, "options": j.options(),
		}, nil)
		var before int64 // a move goes on from the fencing number of the storefront's last one
		j.control(func(tx control.Tx) error {
			if err := tx.Get(&before, `SELECT COALESCE(max(gen), 0) FROM moves WHERE storefront_id = $1 AND ended_at IS NOT NULL`, j.id); err != nil {
				return err
			}
			return tx.Get(&id, `SELECT id FROM moves WHERE storefront_id = $1 AND ended_at IS NULL`, j.id)
		})
		j.claimed(id, before)
		j.generation = j.generationOf(id)
	})
	return id
}

// options of the move: one that is no rehearsal waits for the word to cut over.
func (j *journey) options() map[string]any {
	if j.mode != "" {
		return map[string]any{"mode": j.mode, "unpaced": true}
	}
	return map[string]any{"manual_cutover": true, "unpaced": true}
}

// claimed waits until somebody has claimed the move who did not have it.
func (j *journey) claimed(move string, generation int64) {
	require.Eventually(j.t, func() bool { return j.generationOf(move) > generation }, patience, glance, "nobody claims the move: %s", &j.first.log)
}

func (j *journey) signal(p *program, s syscall.Signal) {
	require.NoError(j.t, p.process.Process.Signal(s))
}

// generationOf is the fencing number of whoever runs the move.
func (j *journey) generationOf(move string) (gen int64) {
	j.control(func(tx control.Tx) error { return tx.Get(&gen, `SELECT gen FROM moves WHERE id = $1`, move) })
	return gen
}

// control looks into the control database. A file is opened for each look: who comes back after
// a death must find it as if nobody had it open.
func (j *journey) control(look func(tx control.Tx) error) {
	db, done := j.ledger, func() error { return nil }
	if db == nil {
		var err error
		db, err = control.Open(context.Background(), j.first.controlDSN())
		require.NoError(j.t, err)
		done = db.Close
	}
	view := func() error {
		return db.View(context.Background(), func(_ context.Context, tx control.Tx) error { return look(tx) })
	}
	err := view()
	if errors.Is(err, control.ErrAway) { // a server ends what its client leaves idle, as on processors that are busy
		err = view()
	}
	require.NoError(j.t, errors.Join(err, done()))
}

// ask asks something of the move. The server may die before it answers, and what is
// asked may come too late: what matters is how the move ends.
func (j *journey) ask(move, what string) {
	p := j.survivor()
	send := func(what string) {
		status := p.admin(j.t, "POST", "moves/"+move+"/"+what, nil, nil)
		require.Contains(j.t, []int{0, http.StatusAccepted, http.StatusConflict}, status, what)
	}
	switch what {
	case "":
	case "pause":
		p.waitFor(j.t, move, "verifying")
		send("pause")
		p.waitFor(j.t, move, "paused")
		j.alone(func() {
			generation := j.generationOf(move)
			status := j.first.adminBy(j.t, j.first.impatient(), "POST", "moves/"+move+"/resume", nil, nil)
			require.Contains(j.t, []int{0, http.StatusAccepted}, status)
			j.claimed(move, generation)
			j.generation = j.generationOf(move)
		})
	case "cutover at once":
		send("cutover")
	case "cutover": // may have been asked before
		p.waitFor(j.t, move, "verifying", "cutting_over", "watching")
		send(what)
	default:
		send(what)
	}
}

// end brings the move to the end that the trip wants and says which it was.
func (j *journey) end(move string, r trip) string {
	p := j.survivor()
	if end := r.decided(); end != "" {
		return p.waitFor(j.t, move, end).Phase
	}
	if r.undo {
		j.ask(move, "cancel")
		if m := p.waitFor(j.t, move, "cancelled", "watching"); m.Phase == "cancelled" {
			return m.Phase
		}
		j.ask(move, "rollback")
		return p.waitFor(j.t, move, "rolled_back").Phase
	}
	j.ask(move, "cutover")
	p.waitFor(j.t, move, "watching")
	j.inStep()
	j.ask(move, "finalize")
	return p.waitFor(j.t, move, "completed").Phase
}

// inStep wants both places to be equal while the window is open.
func (j *journey) inStep() {
	j.written()
	j.load.Stop()
	j.first.inspect(j.t, func(a *audit) { a.requireInStep(j.id) })
	j.load.Start(context.Background())
}

// check holds everything against what it must be, once the move has ended: nothing
// acknowledged is missing, the place where the storefront is is free, the other one gone.
func (j *journey) check(left, gone backends.Place) {
	if stopped(j.first) {
		j.wake()
	}
	j.written() // also by the other instance, which must know as well where the storefront is
	j.load.Stop()
	require.NoError(j.t, j.load.Verify(context.Background()))
	j.requireAnswers()
	j.first.inspect(j.t, func(a *audit) {
		at := a.at(j.id)
		require.Equal(j.t, left, at.Place)
		a.requireFree(at)
		a.requireGone(gone)
		for id, was := range j.others {
			require.Equal(j.t, was, a.digests(a.at(id).Place), "another storefront has changed")
		}
	})
}
