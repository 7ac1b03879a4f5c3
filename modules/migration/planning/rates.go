package planning

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/control"
)

// Rate is how long moves between two kinds of backend take: a time of their own and
// one for each row, with the cutover and without waiting for it.
type Rate struct {
	Source        backends.Kind `json:"source_kind"`
	Target        backends.Kind `json:"target_kind"`
	FixedSeconds  float64       `json:"fixed_seconds"`
	RowsPerSecond float64       `json:"rows_per_second"`
	Measured      int           `json:"measured" doc:"How many completed moves this comes from; 0: none, it is an assumption"`
}

// takes is how long a move of so many rows takes.
func (r Rate) takes(rows int64) time.Duration {
	return time.Duration((r.FixedSeconds + float64(rows)/r.RowsPerSecond) * float64(time.Second))
}

// Where nothing was measured: what a small machine does, on the cautious side.
const (
	assumedFixed = 10     // seconds
	assumedRate  = 10_000 // rows a second
)

const measuredMoves = 1000 // the latest ones

// ends is a pair of kinds.
type ends struct{ source, target backends.Kind }

// rates knows how long moves take.
type rates map[ends]Rate

// of finds the rate between two kinds, assumed where nothing was measured.
func (r rates) of(source, target backends.Kind) Rate {
	if rate, ok := r[ends{source, target}]; ok {
		return rate
	}
	return Rate{Source: source, Target: target, FixedSeconds: assumedFixed, RowsPerSecond: assumedRate}
}

// observation is one completed move.
type observation struct{ rows, seconds float64 }

// readRates learns from the latest moves that completed and were never paused.
func (s *Service) readRates(ctx context.Context) (rates, error) {
	var rows []struct {
		Source string `db:"source"`
		Target string `db:"target"`
		Stats  string `db:"stats"`
	}
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		rows = nil
		return tx.Select(&rows, `SELECT a.kind AS source, b.kind AS target, m.stats FROM moves m JOIN backends a ON a.name = m.source_backend
			JOIN backends b ON b.name = m.target_backend WHERE m.phase = 'completed' ORDER BY m.id DESC LIMIT $1`, int64(measuredMoves))
	})
	if err != nil {
		return nil, err
	}
	seen := map[ends][]observation{}
	for _, r := range rows {
		var stats migration.Stats
		if err := json.Unmarshal([]byte(r.Stats), &stats); err != nil {
			return nil, err
		}
		if o, ok := observed(stats); ok {
			between := ends{backends.Kind(r.Source), backends.Kind(r.Target)}
			seen[between] = append(seen[between], o)
		}
	}
	out := rates{}
	for between, all := range seen {
		out[between] = fit(between, all)
	}
	return out, nil
}

// observed is how long a move worked: from its beginning until it was verified, and
// from its cutover's beginning to the commit point.
func observed(s migration.Stats) (o observation, ok bool) {
	at := s.PhaseStartedAt
	for _, n := range s.Rows {
		o.rows += float64(n)
	}
	micros := s.VerifiedAt - at[migration.Preparing] + s.CommittedAt - at[migration.CuttingOver]
	o.seconds = float64(micros) / 1e6
	whole := at[migration.Preparing] > 0 && s.VerifiedAt > at[migration.Preparing] && at[migration.CuttingOver] > 0 && s.CommittedAt > 0
	return o, whole && at[migration.Paused] == 0 && micros > 0
}

// fit puts a line through what was observed: least squares. Where it has no sensible
// slope, because all moves were about as large, all of their time goes to their rows:
// that is too slow for larger ones rather than too fast.
func fit(between ends, all []observation) Rate {
	n := float64(len(all))
	var rows, seconds, squares, products float64
	for _, o := range all {
		rows += o.rows / n
		seconds += o.seconds / n
	}
	for _, o := range all {
		squares += (o.rows - rows) * (o.rows - rows)
		products += (o.rows - rows) * (o.seconds - seconds)
	}
	r := Rate{Source: between.source, Target: between.target, Measured: len(all)}
	perRow := seconds / max(1, rows)
	if squares > 0 && products > 0 {
		perRow = products / squares
		r.FixedSeconds = max(0, seconds-perRow*rows)
	}
	r.RowsPerSecond = 1 / perRow
	return r
}

// used lists rates by their kinds.
func used(all map[ends]Rate) []Rate {
	out := make([]Rate, 0, len(all))
	for _, r := range all {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Rate) int {
		return strings.Compare(string(a.Source+" "+a.Target), string(b.Source+" "+b.Target))
	})
	return out
}
