package planning

import "smartseller/platform/control"

// Asked is what is asked of a backend a second.
type Asked struct{ Requests, Writes float64 }

// readBusiest finds what is asked of each backend in its busiest hour of the last day. The
// busiest hours of its storefronts need not be that one: those together are too much.
func readBusiest(tx control.Tx) (map[string]Asked, error) {
	var rows []struct {
		Backend  string `db:"backend"`
		Requests int64  `db:"requests"`
		Writes   int64  `db:"writes"`
	}
	err := tx.Select(&rows, `SELECT backend, max(requests) AS requests, max(writes) AS writes FROM (
			SELECT p.backend, sum(h.requests) AS requests, sum(h.writes) AS writes FROM storefront_hours h JOIN placements p ON p.storefront_id = h.storefront_id
			WHERE h.hour > $1 GROUP BY p.backend, h.hour) AS hours
		GROUP BY backend`, tx.Now()/hourMicros-24)
	busiest := make(map[string]Asked, len(rows))
	for _, r := range rows {
		busiest[r.Backend] = Asked{float64(r.Requests) / 3600, float64(r.Writes) / 3600}
	}
	return busiest, err
}

// shares says which part of the busiest hours of its storefronts falls into each backend's own.
// A backend that is not in Busiest has none, which stands for all.
func (v Vocabulary) shares(fleet []*Shop) map[string]Asked {
	added := map[string]Asked{}
	for _, s := range fleet {
		sum := added[s.Backend]
		added[s.Backend] = Asked{sum.Requests + s.Requests, sum.Writes + s.Writes}
	}
	shares := map[string]Asked{}
	for backend, busiest := range v.Busiest {
		shares[backend] = Asked{part(busiest.Requests, added[backend].Requests), part(busiest.Writes, added[backend].Writes)}
	}
	return shares
}

func part(of, whole float64) float64 {
	if of >= whole {
		return 1
	}
	return of / whole
}

// weight is what a storefront adds to what a backend carries. Where it is, that is its part of
// the backend's busiest hour; anywhere else its own busiest hour may come on top as a whole.
func (e *evaluation) weight(s *Shop, backend, measure string) float64 {
	value := s.measure(measure, e.now)
	share, known := e.shares[backend]
	switch {
	case backend != s.Backend || !known:
		return value
	case measure == measureAsked:
		return value * share.Requests
	case measure == measureWrites:
		return value * share.Writes
	}
	return value
}
