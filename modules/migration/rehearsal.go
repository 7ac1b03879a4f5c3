package migration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"smartseller/platform/control"
)

// errRehearsed ends the attempt of a rehearsal where a move would commit.
var errRehearsed = errors.New("rehearsed: a move would commit here")

// Forecast is how long something took, or is expected to. Times are microseconds.
type Forecast struct {
	Move  string           `json:"move,omitempty"` // the rehearsal that it is from
	Rows  map[string]int64 `json:"rows,omitempty"`
	Ready int64            `json:"ready_micros"` // from its beginning until it was verified
	Stall int64            `json:"stall_micros"` // for which writes waited
}

func (m *Move) measured() Forecast {
	return Forecast{Rows: m.Stats.Rows, Ready: m.Stats.VerifiedAt - m.Stats.PhaseStartedAt[Preparing], Stall: m.Stats.StallMicros}
}

// forecast is what the newest rehearsal of this very move measured; nil: there was none.
func (x *run) forecast(ctx context.Context) (*Forecast, error) {
	var found struct {
		ID    string `db:"id"`
		Stats string `db:"stats"`
	}
	err := x.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		return tx.Get(&found, `SELECT id, stats FROM moves WHERE storefront_id = $1 AND source_backend = $2 AND target_backend = $3 AND phase = $4 AND id < $5
			ORDER BY id DESC LIMIT 1`, string(x.m.Storefront), x.m.Source.Backend, x.m.Target.Backend, string(Rehearsed), x.m.ID)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := Move{}
	if err := json.Unmarshal([]byte(found.Stats), &m.Stats); err != nil {
		return nil, err
	}
	f := m.measured()
	f.Move = found.ID
	return &f, nil
}
