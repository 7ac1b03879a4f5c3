package migration

import (
	"fmt"
	"time"

	"smartseller/platform/fault"
)

// scheduled says that a move is to begin later: nobody may claim it before, because its
// lease, which nobody holds, has not run out.
func (m *Move) scheduled(now int64) bool {
	return m.Phase == Planned && m.Owner == "" && m.LeaseUntil > now
}

// BeginsAt is when a move begins that is to begin later, microseconds UTC; 0: it has begun, or may.
func (m *Move) BeginsAt(now int64) int64 {
	if m.scheduled(now) {
		return m.LeaseUntil
	}
	return 0
}

// awaken lets a move that has not begun be claimed now, for what was asked of it.
func (m *Move) awaken(want Intent, now int64) error {
	if !m.scheduled(now) {
		return nil
	}
	switch want {
	case WantPause:
		return fault.New(fault.Conflict, "move_phase", "The move has not begun: there is nothing to pause. Cancel it, and start another one when it may begin.")
	case WantCancel:
		m.LeaseUntil = 0
	}
	return nil
}

func (m *Move) explainBegin(now int64) Wait {
	return Wait{
		For:    "window",
		Detail: fmt.Sprintf("begins in %s, at %s", span(m.LeaseUntil-now), time.UnixMicro(m.LeaseUntil).UTC().Format(time.RFC3339)),
		Todo:   fmt.Sprintf("nothing, or take it back: smartseller move cancel %s", m.ID),
	}
}
