package migration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"smartseller/backends"
	"smartseller/platform/control"
)

// Estimate is how long something took, or is expected to, and how much room it takes up.
type Estimate struct {
	Move  string           `json:"move,omitempty" doc:"The rehearsal, drill or move of the same storefront and way that it is from"`
	Basis string           `json:"basis,omitempty" doc:"What it comes from, or what was assumed"`
	Rows  map[string]int64 `json:"rows,omitempty"`
	Ready int64            `json:"ready_micros" doc:"From its beginning until it was verified, without pauses, microseconds"`
	Stall int64            `json:"stall_micros" doc:"For which writes waited, microseconds"`
	Bytes int64            `json:"bytes,omitempty" doc:"That the storefront takes up at the target, bytes"`
}

func (m *Move) measured() Estimate {
	s := m.Stats
	ready := s.ReadyMicros
	if ready == 0 { // of a program that noted less
		ready = max(0, s.VerifiedAt-s.PhaseStartedAt[Preparing])
	}
	return Estimate{Rows: s.Rows, Ready: ready, Stall: s.StallMicros, Bytes: s.TargetBytes}
}

// foretell says how a move will go, by what was measured before: of the same storefront on
// the same way, else between backends of the same kinds, else by assumptions, which it states.
func foretell(ctx context.Context, db *control.DB, directory *backends.Directory, m *Move, rows map[string]int64, bytes int64) (*Estimate, error) {
	f, err := sameWay(ctx, db, m, rows)
	if err != nil || f != nil {
		return f, err
	}
	rates, err := ReadRates(ctx, db)
	if err != nil {
		return nil, err
	}
	var kinds [2]backends.Kind
	for i, name := range []string{m.Source.Backend, m.Target.Backend} {
		b, err := directory.Backend(ctx, name)
		if err != nil {
			return nil, err
		}
		kinds[i] = b.Kind()
	}
	return rates.Of(kinds[0], kinds[1]).forecast(rows, bytes), nil
}

// forecast is of a storefront with so many rows, that takes up so many bytes at its source.
func (r Rate) forecast(rows map[string]int64, bytes int64) *Estimate {
	f := &Estimate{Rows: rows, Ready: r.Takes(sum(rows)).Microseconds(), Stall: r.StallMicros, Bytes: bytes}
	f.Basis = fmt.Sprintf("the latest %d measured moves from %s to %s: %.1f s and %.0f rows a second; in nine of ten writes waited no longer",
		r.Measured, r.Source, r.Target, r.FixedSeconds, r.RowsPerSecond)
	if r.Measured == 0 {
		f.Basis = fmt.Sprintf("assumed, since no move from %s to %s has been measured: %.0f s and %.0f rows a second; writes wait for a quarter of a second",
			r.Source, r.Target, r.FixedSeconds, r.RowsPerSecond)
	}
	if r.BytesPerRow == 0 {
		f.Basis += "; as many bytes as at the source"
		return f
	}
	f.Bytes = int64(r.FixedBytes + r.BytesPerRow*float64(sum(rows)))
	return f
}

// sameWay is what the newest rehearsal, drill or move of this storefront between the same
// backends measured, in proportion to the rows that there are now; nil: there was none.
func sameWay(ctx context.Context, db *control.DB, m *Move, rows map[string]int64) (*Estimate, error) {
	var found moveRow
	err := db.View(ctx, func(_ context.Context, tx control.Tx) error {
		return tx.Get(&found, `SELECT `+moveColumns+` FROM moves WHERE storefront_id = $1 AND source_backend = $2 AND target_backend = $3
			AND phase IN ('rehearsed', 'rolled_back', 'completed') AND id <> $4 ORDER BY id DESC LIMIT 1`, string(m.Storefront), m.Source.Backend, m.Target.Backend, m.ID)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	before, err := found.move()
	if err != nil {
		return nil, err
	}
	what := map[bool]string{true: before.Options.Mode, false: "move"}[before.Options.Mode != ""]
	f := before.measured()
	had, now := max(1, sum(f.Rows)), sum(rows)
	f.Move, f.Rows = before.ID, rows
	f.Basis = fmt.Sprintf("the %s of this storefront before, the same way, with %d rows; there are %d now", what, had, now)
	if now > had { // fewer rows need not be faster
		f.Ready, f.Bytes = f.Ready*now/had, f.Bytes*now/had
	}
	return &f, nil
}
