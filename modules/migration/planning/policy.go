package planning

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/platform/fault"
)

// Policy says which storefronts should move where. It is made by ParsePolicy.
type Policy struct {
	// CoolDown is how long a storefront is left alone after it came to where it is.
	CoolDown time.Duration
	// Hysteresis is by which share of its threshold a measure must fall back before a
	// storefront that a rule brought somewhere is not held there any more.
	Hysteresis float64
	Rules      []Rule
	// Above is the share of a capacity above which a backend is relieved of
	// storefronts; 0: none is. What comes to a backend leaves it below LowWater.
	Above      float64
	Capacities map[string]map[string]float64 // backend -> measure -> how much it carries
}

// Rule moves a storefront for which its conditions hold. The first rule decides.
type Rule struct {
	Name string
	All  bool // of the conditions must hold; else any
	When []Condition
	From []string // backends; empty: all
	To   []string // backends
}

// Condition compares a measure of a storefront with a threshold.
type Condition struct {
	Measure   string
	Less      bool
	Threshold float64 // seconds for idle
	Text      string  // as written
}

// Measures that are no tables. Sums are those that a backend carries together.
const (
	measureRows   = "rows"
	measureIdle   = "idle"
	measureP95    = "p95_ms"
	measureShops  = "storefronts"
	measureBytes  = "bytes"
	measureAsked  = "requests_per_second"
	measureWrites = "writes_per_second"
)

// LowWater is the share of a capacity that backends are relieved down to.
func (p *Policy) LowWater() float64 { return p.Above * (1 - p.Hysteresis) }

// Tables are the names of tables that the policy asks for.
func (p *Policy) Tables() []string {
	asked := map[string]bool{}
	for _, r := range p.Rules {
		for _, c := range r.When {
			asked[c.Measure] = true
		}
	}
	for _, c := range p.Capacities {
		for measure := range c {
			asked[measure] = true
		}
	}
	for _, m := range []string{measureRows, measureIdle, measureP95, measureShops, measureBytes, measureAsked, measureWrites} {
		delete(asked, m)
	}
	return slices.Sorted(maps.Keys(asked))
}

// Vocabulary is what a policy may name, and what is known of backends.
type Vocabulary struct {
	Tables   []string
	Backends map[string]backends.Kind
	Hosts    map[string]string // backend -> host that alone reaches its files; those that every host reaches are not in it
	Busiest  map[string]Asked  // backend -> in its busiest hour; not in it: as much as its storefronts' ones add up to
	Holds    map[string]int64  // backend -> bytes that an operator said it may hold; not in it: nothing was said
}

// apart says why a move from one backend to another could never start; "": it could.
func (v Vocabulary) apart(from, to string) string {
	at, there := v.Hosts[from], v.Hosts[to]
	if at == "" || there == "" || at == there {
		return ""
	}
	return fmt.Sprintf("the files of %s are on host %s, those of %s on host %s, and no server reaches both: move the storefront to a Postgres first", from, at, to, there)
}

// backends are the names that a word of a policy stands for: a kind for all of it.
func (v Vocabulary) backends(word string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(v.Backends)) {
		if string(v.Backends[name]) == word {
			out = append(out, name)
		}
	}
	if _, ok := v.Backends[word]; ok && !slices.Contains(backends.Kinds(), backends.Kind(word)) {
		out = append(out, word)
	}
	return out
}

// policyError says what is wrong with a policy, and where.
func policyError(line int, key, format string, args ...any) error {
	where := fmt.Sprintf("line %d: ", line)
	if key != "" {
		where += key + ": "
	}
	return fault.InvalidField("/policy", "invalid_policy", where+fmt.Sprintf(format, args...))
}
