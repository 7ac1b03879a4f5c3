package planning

import (
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/control"
)

// Awaits is what a move waits for before it cuts over, in a word that its seller may know.
type Awaits string

// The words.
const (
	AwaitsNothing  Awaits = ""
	AwaitsTurn     Awaits = "turn"    // other moves come first
	AwaitsSeller   Awaits = "not_now" // a blackout ends
	AwaitsWindow   Awaits = "window"  // it opens
	AwaitsQuiet    Awaits = "quiet_hour"
	AwaitsOperator Awaits = "operator" // says a word
)

// CutsOver says what a move that is verified waits for, and when it cuts over then: as the
// scheduler decides, where a plan carries it out. The zero time: no clock says that.
func (s *Service) CutsOver(tx control.Tx, m *migration.Move) (at time.Time, awaits Awaits, err error) {
	let := m.Intent == migration.WantCutover
	if m.Phase != migration.Verifying || m.Stats.VerifiedAt == 0 || m.Intent != migration.NoIntent && !let {
		return at, AwaitsNothing, nil
	}
	if let { // in spite of its plan and of its seller
		return s.cutsOver(tx, m, nil, nil)
	}
	p, _, err := readPlanOf(tx, m.ID)
	if err != nil {
		return at, "", err
	}
	if p == nil && m.Options.ManualCutover || p != nil && p.State != Running {
		return at, AwaitsOperator, nil
	}
	wishes, err := migration.ReadBlackouts(tx, m.Storefront)
	if err != nil {
		return at, "", err
	}
	return s.cutsOver(tx, m, p, wishes[m.Storefront])
}

// cutsOver is CutsOver of a move that waits for no word; p: its plan, nil: none.
func (s *Service) cutsOver(tx control.Tx, m *migration.Move, p *Plan, b migration.Blackouts) (at time.Time, awaits Awaits, err error) {
	w, err := migration.ParseWindow(m.Options.CutoverWindow, m.Options.TimeZone)
	if err != nil {
		return at, "", err
	}
	now := s.clock()
	if at, _ = permitted(now, w, b); p != nil {
		days := map[backends.StorefrontID]Day{}
		if err := readDays(tx, []backends.StorefrontID{m.Storefront}, days); err != nil {
			return at, "", err
		}
		at, _ = p.cutoverAt(now, m.Stats.VerifiedAt, w, b, days[m.Storefront])
	}
	_, barred := b.At(now)
	switch {
	case barred:
		return at, AwaitsSeller, nil
	case !w.Open(now):
		return at, AwaitsWindow, nil
	case at.After(now):
		return at, AwaitsQuiet, nil
	case p != nil:
		return time.Time{}, AwaitsTurn, nil
	}
	return time.Time{}, AwaitsNothing, nil
}
