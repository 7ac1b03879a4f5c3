package planning

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"

	"smartseller/modules/migration"
	"smartseller/platform/control"
)

// ExplainMove says what a move waits for that is ready and that a plan lets cut over; nothing
// of one that is in no plan.
func (s *Service) ExplainMove(tx control.Tx, m *migration.Move) ([]migration.Wait, error) {
	p, seq, err := readPlanOf(tx, m.ID)
	if err != nil || p == nil {
		return nil, err
	}
	if err := p.explain(tx, s.clock()); err != nil {
		return nil, err
	}
	moves, err := readPlanMoves(tx, p.ID, "", seq-1, 1)
	if err == nil {
		err = explainMoves(tx, p, moves, s.clock())
	}
	if err != nil {
		return nil, err
	}
	held := map[PlanState]string{Paused: p.Waits, Stopped: p.Cause}[p.State]
	return []migration.Wait{{
		For: "plan", Detail: "verified; " + cmp.Or(held, moves[0].Waits, "its plan lets it cut over within seconds"),
		Todo: fmt.Sprintf("nothing, or see smartseller plan show %s; to pass over its plan, and over what its seller asked for: smartseller move cutover %s", p.ID, m.ID),
	}}, nil
}

// readPlanOf reads the plan that carries a move out, and the move's turn in it; nil when none does.
func readPlanOf(tx control.Tx, move string) (p *Plan, seq int64, err error) {
	var at struct {
		Plan string `db:"plan_id"`
		Seq  int64  `db:"seq"`
	}
	err = tx.Get(&at, `SELECT plan_id, seq FROM plan_moves WHERE move_id = $1 AND state = 'moving'`, move)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, nil
	}
	if err == nil {
		p, err = readPlan(tx, at.Plan, false)
	}
	return p, at.Seq, err
}
