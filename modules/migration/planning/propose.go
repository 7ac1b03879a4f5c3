package planning

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"smartseller/backends"
)

// Proposal is a move that a policy wants, and why.
type Proposal struct {
	Storefront backends.StorefrontID `json:"storefront_id"`
	Slug       string                `json:"slug"`
	Source     string                `json:"source"`
	Target     string                `json:"target"`
	Rule       string                `json:"rule" doc:"The rule's name, or rebalance"`
	Reason     string                `json:"reason"`
	Rows       int64                 `json:"rows"`
	Bytes      int64                 `json:"bytes"`
}

// Unplaced is a move that a policy wants and for which there is no room.
type Unplaced struct {
	Storefront backends.StorefrontID `json:"storefront_id,omitempty" doc:"Absent: a backend that stays too full"`
	Slug       string                `json:"slug,omitempty"`
	Rule       string                `json:"rule" doc:"The rule's name, or rebalance"`
	Reason     string                `json:"reason"`
}

// Verdict is what a policy says of a fleet at one time.
type Verdict struct {
	Proposals []Proposal `json:"-"`
	Unplaced  []Unplaced `json:"-"`
	Cooling   int        `json:"cooling" doc:"Storefronts that would move, had they not come to where they are just now"`
	Moving    int        `json:"moving" doc:"Storefronts that are left alone because a move of theirs is open or planned"`
	Uncounted int        `json:"uncounted" doc:"Storefronts whose rows are not counted yet, which are left alone"`
}

// evaluation is a policy on its way through a fleet.
type evaluation struct {
	*Policy
	words Vocabulary
	now   time.Time
	load  map[string]map[string]float64 // backend -> measure -> what it carries, after the proposals
	room  map[string]map[string]float64 // the same, as if nothing left: what a proposal frees is not free yet
	shops map[string]int
	// shares are of what storefronts ask of the backends where they are.
	shares map[string]Asked
	// uncounted are a backend's storefronts of which nobody knows how large they are.
	uncounted map[string]int
	spared    map[backends.StorefrontID]bool // left alone, and counted in the verdict
	verdict   Verdict
}

// Evaluate applies a policy to a fleet: a function of its arguments alone.
//
// It does not make a storefront swing to and fro: with the same statistics it moves
// none a second time. A storefront is held where a rule brought it as long as the
// rule's conditions hold with thresholds that are Hysteresis less strict; it is moved
// only to a place at which it would be held or no rule would move it; and what comes
// to a backend leaves that below the mark down to which full ones are relieved, before
// anything leaves it: so the order in which proposals are carried out, and what becomes
// of the others, do not matter. What is on its way counts where it goes.
func Evaluate(fleet []*Shop, words Vocabulary, p *Policy, now time.Time) Verdict {
	e := &evaluation{
		Policy: p, words: words, now: now, load: map[string]map[string]float64{}, room: map[string]map[string]float64{},
		shops: map[string]int{}, shares: words.shares(fleet), uncounted: map[string]int{}, spared: map[backends.StorefrontID]bool{},
	}
	for _, s := range fleet {
		e.carry(s, s.Backend, 1)
		if !s.Counted {
			e.uncounted[s.Backend]++
		}
		if s.Going != "" {
			e.carry(s, s.Backend, -1) // but has room there as long as it has not left
			e.carry(s, s.Going, 1)
		}
	}
	placed := map[backends.StorefrontID]bool{}
	for _, s := range fleet {
		if e.applyRules(s) {
			placed[s.ID] = true
		}
	}
	if p.Above > 0 {
		e.rebalance(fleet, placed)
	}
	return e.verdict
}

// carry adds a storefront to what a backend carries; sign -1 takes it away.
func (e *evaluation) carry(s *Shop, backend string, sign float64) {
	e.shops[backend] += int(sign)
	for measure := range e.Capacities[backend] {
		if e.load[backend] == nil {
			e.load[backend], e.room[backend] = map[string]float64{}, map[string]float64{}
		}
		value := e.weight(s, backend, measure)
		e.load[backend][measure] += sign * value
		e.room[backend][measure] += max(0, sign) * value
	}
}

// fill is the greatest share of a backend's capacities that is taken: (nil) when all
// that is proposed has happened, or when one more storefront comes before anything leaves.
func (e *evaluation) fill(backend string, more *Shop) (share float64, measure string) {
	for _, m := range slices.Sorted(maps.Keys(e.Capacities[backend])) {
		carried := e.load[backend][m]
		if more != nil {
			carried = e.room[backend][m] + more.measure(m, e.now)
		}
		if part := carried / e.Capacities[backend][m]; part > share {
			share, measure = part, m
		}
	}
	return share, measure
}

// countsRows says that how full a backend is is known only once rows were counted.
func (e *evaluation) countsRows(backend string) bool {
	for measure := range e.Capacities[backend] {
		if counted(measure) {
			return true
		}
	}
	return false
}

// holds says whether a rule's conditions hold of a storefront that is counted, thresholds
// less strict by a share.
func (r *Rule) holds(s *Shop, now time.Time, slack float64) (because []string, ok bool) {
	for _, c := range r.When {
		value, threshold := s.measure(c.Measure, now), c.Threshold*(1-slack)
		if c.Less {
			threshold = c.Threshold * (1 + slack)
		}
		if c.Less && value < threshold || !c.Less && value > threshold {
			because = append(because, fmt.Sprintf("%s is %s (%s)", c.Measure, written(c.Measure, value), c.Text))
		} else if r.All {
			return nil, false
		}
	}
	return because, len(because) > 0
}

// written is a measured value for people.
func written(measure string, value float64) string {
	switch {
	case measure == measureIdle:
		return fmt.Sprintf("%.0f days", value/86400)
	case value == float64(int64(value)):
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

// decide finds the rule that speaks for a storefront if it were on a backend, and
// whether it holds it there.
func (e *evaluation) decide(s *Shop, at string) (r *Rule, because []string, held bool) {
	for i := range e.Rules {
		r := &e.Rules[i]
		if slices.Contains(r.To, at) {
			if _, ok := r.holds(s, e.now, e.Hysteresis); ok {
				return r, nil, true
			}
			continue
		}
		if len(r.From) > 0 && !slices.Contains(r.From, at) {
			continue
		}
		if because, ok := r.holds(s, e.now, 0); ok {
			return r, because, false
		}
	}
	return nil, nil, false
}

// applyRules proposes the move that a rule wants; true when it did.
func (e *evaluation) applyRules(s *Shop) bool {
	if !s.Counted { // it may be too large for any place
		e.verdict.Uncounted++
		return false
	}
	r, because, held := e.decide(s, s.Backend)
	if r == nil || held || e.spares(s) {
		return false
	}
	target, why := e.choose(s, r.To)
	if target == "" {
		e.verdict.Unplaced = append(e.verdict.Unplaced, Unplaced{Storefront: s.ID, Slug: s.Slug, Rule: r.Name, Reason: why})
		return false
	}
	e.propose(s, target, r.Name, strings.Join(because, "; "))
	return true
}

// spares says whether a storefront that would move is left alone, and counts it: once,
// though its rule and the rebalancing may both come to it.
func (e *evaluation) spares(s *Shop) bool {
	count := &e.verdict.Moving
	switch {
	case s.Moving:
	case e.now.Sub(time.UnixMicro(s.PlacedAt)) < e.CoolDown:
		count = &e.verdict.Cooling
	default:
		return false
	}
	if !e.spared[s.ID] {
		e.spared[s.ID] = true
		*count++
	}
	return true
}

func (e *evaluation) propose(s *Shop, target, rule, reason string) {
	e.carry(s, s.Backend, -1)
	e.carry(s, target, 1)
	e.verdict.Proposals = append(e.verdict.Proposals, Proposal{
		Storefront: s.ID, Slug: s.Slug, Source: s.Backend, Target: target, Rule: rule, Reason: reason, Rows: s.Rows, Bytes: s.Bytes,
	})
}

// choose finds the emptiest backend that a storefront may go to and would stay at; ""
// and why when there is none.
func (e *evaluation) choose(s *Shop, among []string) (target, why string) {
	why = "no backend for it is registered"
	type candidate struct {
		name  string
		share float64
	}
	var best *candidate
	for _, name := range among {
		if name == s.Backend || e.words.Backends[name] == "" {
			continue
		}
		if apart := e.words.apart(s.Backend, name); apart != "" {
			why = apart
			continue
		}
		share, measure := e.fill(name, s)
		if n := e.uncounted[name]; 2*n > e.shops[name] && e.countsRows(name) {
			why = fmt.Sprintf("most storefronts of %s, %d, are not counted yet, and nobody knows how full it is: ask again in a while", name, n)
			continue
		}
		if e.Above > 0 && share > e.LowWater() {
			why = fmt.Sprintf("%s would carry %.0f %% of its %s, more than %.0f %%: raise its capacity or register another backend", name, 100*share, measure, 100*e.LowWater())
			continue
		}
		if r, _, held := e.decide(s, name); r != nil && !held {
			why = fmt.Sprintf("rule %s would move it on from %s at once", r.Name, name)
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(share, best.share), cmp.Compare(e.shops[name], e.shops[best.name])) < 0 {
			best = &candidate{name, share}
		}
	}
	if best == nil {
		return "", why
	}
	return best.name, ""
}

// rebalance relieves backends that are too full, of few large storefronts rather than
// of many small ones, down to the low-water mark.
func (e *evaluation) rebalance(fleet []*Shop, placed map[backends.StorefrontID]bool) {
	for _, full := range slices.Sorted(maps.Keys(e.Capacities)) {
		share, measure := e.fill(full, nil)
		if share <= e.Above {
			continue
		}
		var there []*Shop
		for _, s := range fleet {
			if s.Backend == full && !placed[s.ID] && s.measure(measure, e.now) > 0 {
				there = append(there, s)
			}
		}
		slices.SortStableFunc(there, func(a, b *Shop) int { return cmp.Compare(b.measure(measure, e.now), a.measure(measure, e.now)) })
		for _, s := range there {
			if share, measure = e.fill(full, nil); share <= e.LowWater() {
				break
			}
			e.relieve(s, fmt.Sprintf("%s carries %.0f %% of its %s and is relieved down to %.0f %%", full, 100*share, measure, 100*e.LowWater()))
		}
		if share, measure = e.fill(full, nil); share > e.Above {
			e.verdict.Unplaced = append(e.verdict.Unplaced, Unplaced{
				Rule: "rebalance", Reason: fmt.Sprintf("%s still carries %.0f %% of its %s, and no backend of its kind with a capacity%s can take more", full, 100*share, measure, e.reach(full)),
			})
		}
	}
}

// reach says of a backend of one host that the files of other hosts are none to move to.
func (e *evaluation) reach(backend string) string {
	if host := e.words.Hosts[backend]; host != "" {
		return " that host " + host + " reaches"
	}
	return ""
}

func (e *evaluation) relieve(s *Shop, reason string) {
	if !s.Counted || e.spares(s) { // those that are not counted yet are told of by the rules
		return
	}
	var among []string // of the same kind, and of known capacity
	rule, _, _ := e.decide(s, s.Backend)
	for _, name := range slices.Sorted(maps.Keys(e.Capacities)) {
		if e.words.Backends[name] == e.words.Backends[s.Backend] && (rule == nil || slices.Contains(rule.To, name)) {
			among = append(among, name)
		}
	}
	if target, _ := e.choose(s, among); target != "" {
		e.propose(s, target, "rebalance", reason)
	}
}
