package migration

import (
	"context"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// told is what the move's story knows of a table's copy: each percent, and now and then that it
// goes on, for the story is kept for long, and told to whoever follows the move.
type told struct {
	total, percent int64
	at             time.Time
}

const (
	toldEvery = 500 * time.Millisecond // at most
	toldLeast = 5 * time.Second
)

func (x *run) newTold(t *backends.Table) *told {
	x.saving.Lock()
	defer x.saving.Unlock()
	return &told{total: max(1, x.m.Stats.Rows[t.Name]), at: time.Now()}
}

// due says whether more is to be told now, and notes that it is.
func (s *told) due(p backends.Progress) bool {
	percent, since := 100*p.Copied/s.total, time.Since(s.at)
	if since <= toldEvery || percent == s.percent && since <= toldLeast {
		return false
	}
	s.percent, s.at = percent, time.Now()
	return true
}

func (x *run) show(ctx context.Context, p backends.Progress) error {
	x.saving.Lock()
	total := x.m.Stats.Rows[p.Table]
	x.m.Stats.PacePercent, x.m.Stats.Trouble = x.pace.percent(), nil
	x.saving.Unlock()
	c := Checkpoint{Table: p.Table, Copied: p.Copied, Total: total, Done: p.Done}
	return x.save(ctx, "progress", c, func(tx control.Tx, m *Move) error { return saveCheckpoint(tx, m.ID, c) })
}

// halted shows that the copy halts, and why, or ("") that it goes on.
func (x *run) halted(ctx context.Context, why string) error {
	x.saving.Lock()
	x.m.Stats.Halted, x.m.Stats.PacePercent = why, x.pace.percent()
	x.saving.Unlock()
	return x.save(ctx, "halted", map[string]any{"why": why}, func(control.Tx, *Move) error { return nil })
}
