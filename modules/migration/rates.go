package migration

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// Rate is how long moves between two kinds of backend take: a time of their own and
// one for each row, with the cutover and without waiting for it.
type Rate struct {
	Source        backends.Kind `json:"source_kind"`
	Target        backends.Kind `json:"target_kind"`
	FixedSeconds  float64       `json:"fixed_seconds"`
	RowsPerSecond float64       `json:"rows_per_second"`
	Measured      int           `json:"measured" doc:"How many moves this comes from; 0: none, it is an assumption"`
	LargestRows   int64         `json:"largest_rows,omitempty" doc:"Rows of the largest of them; how long one takes that is many times larger is not measured"`
	Comparison    float64       `json:"comparison_share" doc:"The part of that time that comparing everything takes, which a move that stood by does once more before it cuts over"`
	StallMicros   int64         `json:"stall_micros" doc:"In nine of ten moves writes waited no longer"`
	// What storefronts take up at the target; BytesPerRow 0: never measured.
	FixedBytes  float64 `json:"fixed_bytes,omitempty"`
	BytesPerRow float64 `json:"bytes_per_row,omitempty"`
}

// Takes is how long a move of so many rows takes.
func (r Rate) Takes(rows int64) time.Duration {
	return time.Duration((r.FixedSeconds + float64(rows)/r.RowsPerSecond) * float64(time.Second))
}

// Compares is how long comparing so many rows takes.
func (r Rate) Compares(rows int64) time.Duration {
	return time.Duration(r.Comparison * float64(r.Takes(rows)))
}

const manyTimes = 10

// Exceeds says that so many rows are many times as many as the largest move had that was
// measured: how long they take is assumed.
func (r Rate) Exceeds(rows int64) bool {
	return r.Measured > 0 && rows > manyTimes*r.LargestRows
}

// Where nothing was measured: what a small machine does, on the cautious side.
const (
	assumedFixed = 10     // seconds
	assumedRate  = 10_000 // rows a second
	assumedStall = 250 * time.Millisecond

	assumedComparison = 0.5 // of the time
)

const measuredMoves = 1000 // the latest ones

// Ends is a pair of kinds.
type Ends struct{ Source, Target backends.Kind }

// Rates knows how long moves take.
type Rates map[Ends]Rate

// Of finds the rate between two kinds, assumed where nothing was measured.
func (r Rates) Of(source, target backends.Kind) Rate {
	if rate, ok := r[Ends{source, target}]; ok {
		return rate
	}
	return Rate{Source: source, Target: target, FixedSeconds: assumedFixed, RowsPerSecond: assumedRate, Comparison: assumedComparison, StallMicros: assumedStall.Microseconds()}
}

// observation is one move.
type observation struct {
	rows, seconds float64
	stall         int64
	bytes         float64 // at the target; 0: not measured
	compared      float64 // seconds, of those
}

// ReadRates learns from the latest moves that completed and were never paused.
func ReadRates(ctx context.Context, db *control.DB) (Rates, error) {
	var rows []struct {
		Source string `db:"source"`
		Target string `db:"target"`
		Stats  string `db:"stats"`
	}
	err := db.View(ctx, func(_ context.Context, tx control.Tx) error {
		rows = nil
		return tx.Select(&rows, `SELECT a.kind AS source, b.kind AS target, m.stats FROM moves m JOIN backends a ON a.name = m.source_backend
			JOIN backends b ON b.name = m.target_backend WHERE m.phase = 'completed' ORDER BY m.id DESC LIMIT $1`, int64(measuredMoves))
	})
	if err != nil {
		return nil, err
	}
	seen := map[Ends][]observation{}
	for _, r := range rows {
		var stats Stats
		if err := json.Unmarshal([]byte(r.Stats), &stats); err != nil {
			return nil, err
		}
		if o, ok := observed(stats); ok {
			between := Ends{backends.Kind(r.Source), backends.Kind(r.Target)}
			seen[between] = append(seen[between], o)
		}
	}
	out := Rates{}
	for between, all := range seen {
		out[between] = fitted(between, all)
	}
	return out, nil
}

// observed is how long a move worked: from its beginning until it was verified for the first
// time, and from its cutover's beginning to the commit point.
func observed(s Stats) (o observation, ok bool) {
	at := s.PhaseStartedAt
	o.rows, o.stall, o.bytes = float64(sum(s.Rows)), s.StallMicros, float64(s.TargetBytes)
	compared := s.ReadyMicros - s.WorkedMicros[Preparing] - s.WorkedMicros[Copying] - s.WorkedMicros[CatchingUp]
	o.seconds, o.compared = float64(s.ReadyMicros+s.CommittedAt-at[CuttingOver])/1e6, float64(compared)/1e6
	whole := s.ReadyMicros > 0 && compared > 0 && at[CuttingOver] > 0 && s.CommittedAt > at[CuttingOver]
	return o, whole && at[Paused] == 0
}

func sum(rows map[string]int64) (total int64) {
	for _, n := range rows {
		total += n
	}
	return total
}

// fitted makes a rate of what was observed.
func fitted(between Ends, all []observation) Rate {
	r := Rate{Source: between.Source, Target: between.Target, Measured: len(all)}
	var took, room []point
	var stalls []int64
	var seconds, compared float64
	for _, o := range all {
		took = append(took, point{o.rows, o.seconds})
		r.LargestRows = max(r.LargestRows, int64(o.rows))
		seconds, compared = seconds+o.seconds, compared+o.compared
		stalls = append(stalls, o.stall)
		if o.bytes > 0 {
			room = append(room, point{o.rows, o.bytes})
		}
	}
	fixed, perRow := line(took, 1.0/assumedRate)
	r.FixedSeconds, r.RowsPerSecond, r.Comparison = fixed, 1/perRow, compared/seconds
	slices.Sort(stalls)
	r.StallMicros = stalls[int(math.Ceil(0.9*float64(len(stalls))))-1]
	if len(room) > 0 {
		r.FixedBytes, r.BytesPerRow = line(room, math.Inf(1)) // too much for larger ones rather than too little
	}
	return r
}

type point struct{ x, y float64 }

// Few rows say nothing of how long many take, since a move takes some time of its own.
const (
	fewRows  = 1000                       // of difference between moves
	manyRows = assumedFixed * assumedRate // for which a move works longer than for itself
)

// line goes through what was observed: least squares. Where that has no sensible slope, because
// all moves were about as large, it goes through the mean: all that was observed goes to rows
// where there were many of them, else as much as may at most.
func line(all []point, atMost float64) (fixed, slope float64) {
	n := float64(len(all))
	least, most := all[0].x, all[0].x
	var x, y, squares, products float64
	for _, p := range all {
		x += p.x / n
		y += p.y / n
		least, most = min(least, p.x), max(most, p.x)
	}
	for _, p := range all {
		squares += (p.x - x) * (p.x - x)
		products += (p.x - x) * (p.y - y)
	}
	switch {
	case most-least >= fewRows && products > 0:
		slope = products / squares
	case x >= manyRows:
		slope = y / x
	default:
		slope = min(atMost, y/max(1, x))
	}
	return max(0, y-slope*x), slope
}
