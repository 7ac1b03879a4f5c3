package planning

import (
	"cmp"
	"slices"
)

// candidate is a move on its way into a plan.
type candidate struct {
	shop           *Shop
	target, reason string
}

// carriedBy is what is asked of each backend, the busiest hours of its storefronts added up.
func carriedBy(fleet []*Shop) map[string]float64 {
	carried := map[string]float64{}
	for _, shop := range fleet {
		carried[shop.Backend] += shop.Requests
	}
	return carried
}

// inOrder puts moves into the order of their turns: canaries, which are always the
// smallest, then the others by priority. carried is what is asked of each backend now.
func inOrder(moves []candidate, o PlanOptions, carried map[string]float64) []candidate {
	moves = slices.Clone(moves)
	slices.SortStableFunc(moves, smaller)
	first := min(int(o.canaries()), len(moves))
	canaries, rest := moves[:first], moves[first:]
	switch o.Priority {
	case LeastRisk:
		slices.SortStableFunc(rest, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.shop.Requests, b.shop.Requests), cmp.Compare(a.shop.Writes, b.shop.Writes))
		})
	case Relief:
		rest = byRelief(rest, carried)
	}
	return append(slices.Clone(canaries), rest...)
}

// smaller puts those of which nobody knows how large they are behind all others.
func smaller(a, b candidate) int {
	if a.shop.Counted != b.shop.Counted {
		if a.shop.Counted {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.shop.Bytes, b.shop.Bytes), cmp.Compare(a.shop.Rows, b.shop.Rows), cmp.Compare(a.shop.ID, b.shop.ID))
}

// byRelief takes, again and again, the most asked storefront from the backend of which
// most is asked then.
func byRelief(moves []candidate, carried map[string]float64) []candidate {
	from := map[string][]candidate{}
	load := map[string]float64{}
	for backend, requests := range carried {
		load[backend] = requests
	}
	for _, m := range moves {
		from[m.shop.Backend] = append(from[m.shop.Backend], m)
	}
	for _, there := range from {
		slices.SortStableFunc(there, func(a, b candidate) int { return cmp.Compare(b.shop.Requests, a.shop.Requests) })
	}
	out := make([]candidate, 0, len(moves))
	for len(out) < len(moves) {
		hottest := ""
		for backend, there := range from {
			if len(there) > 0 && (hottest == "" || cmp.Or(cmp.Compare(load[backend], load[hottest]), cmp.Compare(hottest, backend)) > 0) {
				hottest = backend
			}
		}
		next := from[hottest][0]
		from[hottest] = from[hottest][1:]
		load[hottest] -= next.shop.Requests
		load[next.target] += next.shop.Requests
		out = append(out, next)
	}
	return out
}

// waveOf is the wave of the move whose turn is i, from 0.
func waveOf(i int, o PlanOptions) int64 {
	if int64(i) < o.canaries() {
		return 0
	}
	return min(1, o.canaries()) + (int64(i)-o.canaries())/o.WaveSize
}

// occupied is how many moves take part at each backend, as a source or a target.
type occupied map[string]int64

// free says whether one more move may take part at both its backends, each of which may
// have so many at a time.
func (o occupied) free(source, target string, most int64) bool {
	return o[source] < most && o[target] < most
}

// take counts one more move, if its backends have places free, and says whether.
func (o occupied) take(source, target string, most int64) bool {
	free := o.free(source, target, most)
	if free {
		o[source]++
		o[target]++
	}
	return free
}

func (o occupied) leave(source, target string) {
	o[source]--
	o[target]--
}
