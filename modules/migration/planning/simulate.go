package planning

import (
	"cmp"
	"container/heap"
	"context"
	"maps"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
)

// simulated is a move of a plan that is only imagined.
type simulated struct {
	shop           *Shop
	target, reason string
	wave           int64
	turn           int
	begun, ready   time.Time
	let, compared  time.Time
	moved          time.Time
	barred         bool // by a blackout, whose end is awaited
}

// imagined is all that a simulation depends on.
type imagined struct {
	fleet     []*Shop
	moves     []*simulated // in the order of their turns
	kinds     map[string]backends.Kind
	options   PlanOptions
	rates     migration.Rates
	instances int
	from      time.Time
	day       func(*Shop) Day
	blackouts map[backends.StorefrontID]migration.Blackouts
	done      progress // of a plan that is under way; its open wave is found out
	lost      int      // moves to backends that are not registered, which are left out
}

// Load is what a backend carries.
type Load struct {
	Storefronts int64   `json:"storefronts" doc:"That it serves"`
	Bytes       int64   `json:"bytes" doc:"That it stores, of values: also of storefronts that are on their way, or were and may be rolled back"`
	Requests    float64 `json:"requests_per_second" doc:"Of each storefront in its busiest hour, added up: no more than that at a time"`
	Writes      float64 `json:"writes_per_second" doc:"Of each storefront in its busiest hour, added up: no more than that at a time"`
}

// Course is what one backend carries over time.
type Course struct {
	Backend   string        `json:"backend"`
	Kind      backends.Kind `json:"kind"`
	Before    Load          `json:"before"`
	After     Load          `json:"after"`
	PeakBytes int64         `json:"peak_bytes"`
	Over      []Load        `json:"over" doc:"At each of the times"`
}

// Turn is a move, when it would begin and when it would cut over.
type Turn struct {
	Slug   string `json:"slug"`
	Source string `json:"source"`
	Target string `json:"target"`
	Reason string `json:"reason"`
	Begins int64  `json:"begins_at" doc:"Microseconds UTC"`
	Moves  int64  `json:"moves_at" doc:"Of its cutover, microseconds UTC"`
}

// Forecast is how a plan would go.
type Forecast struct {
	Storefronts int64            `json:"storefronts" doc:"Of the fleet"`
	Moves       int64            `json:"moves"`
	Waves       int64            `json:"waves"`
	Begins      int64            `json:"begins_at" doc:"Microseconds UTC"`
	Ends        int64            `json:"ends_at" doc:"Of the last cutover, microseconds UTC"`
	Seconds     int64            `json:"seconds" doc:"From the beginning to the last cutover"`
	WorkSeconds int64            `json:"work_seconds" doc:"Of all moves together, without waiting"`
	LongestWait int64            `json:"longest_wait_seconds" doc:"Of a move that was ready, until it had cut over"`
	Rates       []migration.Rate `json:"rates" doc:"Between the kinds that the moves go between"`
	Assumptions []string         `json:"assumptions,omitempty" doc:"What was not measured"`
	Notes       []string         `json:"notes,omitempty" doc:"What is left out, and what would never begin"`
	Times       []int64          `json:"times" doc:"Of what backends carry, microseconds UTC"`
	Moved       []int64          `json:"moved" doc:"Storefronts at their targets at each of the times"`
	Backends    []Course         `json:"backends"`
	Next        []Turn           `json:"next" doc:"The first 20 moves, by when they begin"`
}

const nextTurns = 20

// simulation plays a plan, from event to event. It decides as the scheduler does, by
// the same functions.
type simulation struct {
	imagined
	now      time.Time
	events   events
	waiting  []*simulated        // of the wave that is under way and those before, in order
	rest     []*simulated        // of later waves
	wave     int64               // that came last
	open     int                 // moves of those waves that are not at their target
	standing map[*simulated]bool // verified, and not let cut over
	soaked   time.Time           // when the next wave may come, as far as canaries go
	busy     busy
	verified []*simulated // those that may be due for their cutover, in order
	slots    int          // of the instances, for moves that work
	queue    []func()     // what waits for a slot
	number   int          // of events so far
	windows  map[string]migration.Window
	load     map[string]*Load
	rated    map[migration.Ends]migration.Rate
	forecast Forecast
	peaks    map[string]int64
	moved    int64
	worked   time.Duration
	course   map[string][]Load
	every    time.Duration // between samples
}

const lookAround = 1000 // events, between looks whether anybody still wants to know

// simulate foretells how a plan would go: a function of its arguments alone, unless it is
// cancelled. Its memory is bounded by the fleet's.
func simulate(ctx context.Context, in imagined) (*Forecast, error) {
	s := &simulation{
		imagined: in, now: in.from, rest: inWaves(in.moves), standing: map[*simulated]bool{}, busy: busy{occupied{}, occupied{}}, slots: in.instances * migration.AtOnce,
		windows: map[string]migration.Window{}, load: map[string]*Load{}, rated: map[migration.Ends]migration.Rate{}, peaks: map[string]int64{}, course: map[string][]Load{}, every: time.Minute,
	}
	for name := range in.kinds {
		s.load[name] = &Load{}
	}
	for _, shop := range in.fleet {
		s.serve(shop, shop.Backend, 1)
		s.store(shop, shop.Backend, 1)
	}
	s.begin()
	if err := s.play(ctx); err != nil {
		return nil, err
	}
	return s.finish(), nil
}

// play lets one event happen after another.
func (s *simulation) play(ctx context.Context) error {
	s.next()
	for happened := 0; len(s.events) > 0; s.next() {
		at := s.events[0].at
		s.sampleUntil(at)
		s.now = at
		for len(s.events) > 0 && s.events[0].at.Equal(at) { // among what is due at once, turns decide
			if happened%lookAround == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			happened++
			heap.Pop(&s.events).(event).happen()
		}
	}
	s.sample()
	return nil
}

// inWaves puts moves into the order of their waves. What has become a canary instead of
// another one has its turn behind some of later waves.
func inWaves(moves []*simulated) []*simulated {
	moves = slices.Clone(moves)
	slices.SortStableFunc(moves, func(a, b *simulated) int { return cmp.Compare(a.wave, b.wave) })
	return moves
}

func (s *simulation) begin() {
	f := &s.forecast
	f.Storefronts, f.Moves, f.Begins = int64(len(s.fleet)), int64(len(s.moves)), s.from.UnixMicro()
	f.Ends = f.Begins
	for n, m := range s.moves {
		m.turn = n
		f.Waves = max(f.Waves, m.wave+1)
		between := migration.Ends{Source: s.kinds[m.shop.Backend], Target: s.kinds[m.target]}
		s.rated[between] = s.rates.Of(between.Source, between.Target)
	}
	for _, name := range slices.Sorted(maps.Keys(s.kinds)) {
		f.Backends = append(f.Backends, Course{Backend: name, Kind: s.kinds[name], Before: *s.load[name]})
	}
}

// serve and store add a storefront to what a backend carries, or (-1) take it away.
func (s *simulation) serve(shop *Shop, backend string, sign int64) {
	l := s.load[backend]
	l.Storefronts += sign
	l.Requests += float64(sign) * shop.Requests
	l.Writes += float64(sign) * shop.Writes
}

func (s *simulation) store(shop *Shop, backend string, sign int64) {
	s.load[backend].Bytes += sign * shop.Bytes
	s.peaks[backend] = max(s.peaks[backend], s.load[backend].Bytes)
}

// next lets begin, and cut over, what may now.
func (s *simulation) next() {
	s.advance()
	s.letCutOver()
	s.letBegin()
	for ; s.slots > 0 && len(s.queue) > 0; s.slots-- {
		s.queue[0]()
		s.queue = s.queue[1:]
	}
}

func (s *simulation) letBegin() {
	var left []*simulated
	for _, m := range s.waiting {
		held, barred := s.blackouts[m.shop.ID].At(s.now)
		switch {
		case barred:
			if !m.barred {
				m.barred = true
				s.at(held.Until, func() { m.barred = false })
			}
		case s.busy.copies.take(m.shop.Backend, m.target, s.options.PerBackend):
			m.begun = s.now
			s.store(m.shop, m.target, 1)
			s.queue = append(s.queue, func() { s.work(m) })
			continue
		}
		left = append(left, m)
	}
	s.waiting = left
}

// letCutOver asks when a move should cut over only once there is a place for it: while it
// waited for one, its window may have closed.
func (s *simulation) letCutOver() {
	var left []*simulated
	for _, m := range s.verified {
		if !s.busy.cutovers.free(m.shop.Backend, m.target, s.options.PerBackend) {
			left = append(left, m)
			continue
		}
		at, _ := cutoverAt(s.now, m.ready, s.window(m.shop.TimeZone), s.blackouts[m.shop.ID], s.options.AtOnce, s.day(m.shop))
		if at.After(s.now) {
			s.at(at, func() { s.standBy(m) })
			continue
		}
		s.busy.cutovers.take(m.shop.Backend, m.target, s.options.PerBackend)
		m.let = s.now
		delete(s.standing, m)
		s.queue = append(s.queue, func() { s.compare(m) })
	}
	s.verified = left
}

// advance lets the next wave come when the scheduler would.
func (s *simulation) advance() {
	for len(s.rest) > 0 {
		s.done.open = s.rest[0].wave
		if !s.settled() {
			s.done.open = s.wave
		}
		at := s.options.standing(s.done)
		if s.rest[0].wave > at.wave {
			return
		}
		if at.soaked.After(s.now) {
			if s.soaked != at.soaked {
				s.soaked = at.soaked
				s.at(at.soaked, func() {})
			}
			return
		}
		if s.rest[0].wave > 0 && s.options.canaries() > 0 && !s.done.proved && s.replaceCanaries() {
			return
		}
		s.takeWave(s.rest[0].wave)
	}
}

func (s *simulation) takeWave(wave int64) {
	s.wave, s.done.begun = wave, max(wave, s.done.begun)
	for len(s.rest) > 0 && s.rest[0].wave == wave {
		s.rest, s.waiting = s.rest[1:], append(s.waiting, s.rest[0])
		s.open++
	}
}

// replaceCanaries makes canaries of the next moves that may begin, where none of those before
// may; false: there are none.
func (s *simulation) replaceCanaries() bool {
	var later []*simulated
	found := int64(0)
	for _, m := range s.rest {
		if found == s.options.canaries() || s.barred(m) {
			later = append(later, m)
			continue
		}
		found++
		s.open++
		m.wave = 0
		s.waiting = append(s.waiting, m)
	}
	if found > 0 {
		s.wave, s.rest = 0, later
	}
	return found > 0
}

// barred says whether the seller of a move's storefront wants none now.
func (s *simulation) barred(m *simulated) bool {
	_, barred := s.blackouts[m.shop.ID].At(s.now)
	return barred
}

// settled says that no move is left of the waves so far, but those whose sellers want none now.
func (s *simulation) settled() bool {
	open := s.open
	for _, m := range s.waiting {
		if s.barred(m) {
			open--
		}
	}
	for m := range s.standing {
		if s.barred(m) {
			open--
		}
	}
	return open == 0
}

func (s *simulation) rate(m *simulated) migration.Rate {
	return s.rated[migration.Ends{Source: s.kinds[m.shop.Backend], Target: s.kinds[m.target]}]
}

func (s *simulation) work(m *simulated) {
	took := s.rate(m).Takes(m.shop.Rows)
	s.worked += took
	s.at(s.now.Add(took), func() {
		s.slots++
		s.busy.copies.leave(m.shop.Backend, m.target)
		m.ready = s.now
		s.standing[m] = true
		s.standBy(m)
	})
}

// standBy puts a move among those that may be due, in the order of their turns.
func (s *simulation) standBy(m *simulated) {
	at, _ := slices.BinarySearchFunc(s.verified, m, func(a, b *simulated) int { return cmp.Compare(a.turn, b.turn) })
	s.verified = slices.Insert(s.verified, at, m)
}

// compare is what a move does once more when it was let cut over. Has that outlasted its
// window, it cuts over when that opens again, and takes no place till then.
func (s *simulation) compare(m *simulated) {
	took := s.rate(m).Compares(m.shop.Rows)
	s.worked += took
	s.at(s.now.Add(took), func() {
		m.compared = s.now
		s.slots++
		s.busy.cutovers.leave(m.shop.Backend, m.target)
		s.at(s.window(m.shop.TimeZone).Opens(s.now), func() { s.cutOver(m) })
	})
}

// window is the plan's, by the clocks of a zone.
func (s *simulation) window(zone string) migration.Window {
	w, known := s.windows[zone]
	if !known {
		w, _ = migration.ParseWindow(s.options.CutoverWindow, zone) // both were checked when they were given
		s.windows[zone] = w
	}
	return w
}

func (s *simulation) cutOver(m *simulated) {
	m.moved = s.now
	s.forecast.LongestWait = max(s.forecast.LongestWait, int64(m.moved.Sub(m.ready).Seconds()))
	s.moved++
	s.forecast.Ends = max(s.forecast.Ends, s.now.UnixMicro())
	s.serve(m.shop, m.shop.Backend, -1)
	s.serve(m.shop, m.target, 1)
	s.open--
	s.done.proved = true
	if m.wave == 0 {
		s.done.canaries = s.now
	}
	s.at(s.now.Add(s.options.window()), func() { s.store(m.shop, m.shop.Backend, -1) })
}
