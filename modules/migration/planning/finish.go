package planning

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"smartseller/modules/migration"
)

func (s *simulation) finish() *Forecast {
	f := &s.forecast
	f.Seconds, f.WorkSeconds = (f.Ends-f.Begins)/1_000_000, int64(s.worked.Seconds())
	for i := range f.Backends {
		c := &f.Backends[i]
		c.After, c.PeakBytes, c.Over = *s.load[c.Backend], s.peaks[c.Backend], s.course[c.Backend]
	}
	for _, r := range used(s.rated) {
		f.Rates = append(f.Rates, r)
		if r.Measured == 0 {
			f.Assumptions = append(f.Assumptions, fmt.Sprintf("no move from %s to %s has completed here yet: %.0f s and %.0f rows/s are assumed, not measured, and that a comparison takes half of that time",
				r.Source, r.Target, r.FixedSeconds, r.RowsPerSecond))
		}
		if n := s.exceeding(r); n > 0 {
			f.Assumptions = append(f.Assumptions, fmt.Sprintf("%d moves from %s to %s are of storefronts many times larger than any that was measured, of %d rows at most: how long they take is assumed",
				n, r.Source, r.Target, r.LargestRows))
		}
	}
	if n := s.uncounted(); n > 0 {
		f.Assumptions = append(f.Assumptions, fmt.Sprintf("%d storefronts that move are not counted yet, and are taken for empty ones: ask again in a while", n))
	}
	if s.lost > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d moves go to backends that are not registered any more, and are left out", s.lost))
	}
	if stuck := s.stuck(); stuck != "" {
		f.Notes = append(f.Notes, stuck)
	}
	begun := slices.DeleteFunc(slices.Clone(s.moves), func(m *simulated) bool { return m.begun.IsZero() })
	slices.SortStableFunc(begun, func(a, b *simulated) int { return a.begun.Compare(b.begun) })
	for _, m := range begun[:min(nextTurns, len(begun))] {
		f.Next = append(f.Next, Turn{m.shop.Slug, m.shop.Backend, m.target, m.reason, m.begun.UnixMicro(), m.moved.UnixMicro()})
	}
	return f
}

// exceeding is how many moves are much larger than those that a rate comes from.
func (s *simulation) exceeding(r migration.Rate) (n int) {
	for _, m := range s.moves {
		if s.kinds[m.shop.Backend] == r.Source && s.kinds[m.target] == r.Target && r.Exceeds(m.shop.Rows) {
			n++
		}
	}
	return n
}

// uncounted is of how many storefronts that move nobody knows how large they are.
func (s *simulation) uncounted() (n int) {
	for _, m := range s.moves {
		if !m.shop.Counted {
			n++
		}
	}
	return n
}

// stuck names the moves that would never begin; "": there are none.
func (s *simulation) stuck() string {
	var slugs []string
	for _, m := range s.moves {
		if m.begun.IsZero() {
			slugs = append(slugs, m.shop.Slug)
		}
	}
	if len(slugs) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d moves would never begin, and what is foretold ends without them: %s", len(slugs), strings.Join(slugs[:min(nextTurns, len(slugs))], ", "))
	if more := len(slugs) - nextTurns; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// used lists rates by their kinds.
func used(all map[migration.Ends]migration.Rate) []migration.Rate {
	out := slices.Collect(maps.Values(all))
	slices.SortFunc(out, func(a, b migration.Rate) int {
		return strings.Compare(string(a.Source+" "+a.Target), string(b.Source+" "+b.Target))
	})
	return out
}
