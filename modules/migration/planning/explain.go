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
	var at struct {
		Plan string `db:"plan_id"`
		Seq  int64  `db:"seq"`
	}
	err := tx.Get(&at, `SELECT plan_id, seq FROM plan_moves WHERE move_id = $1 AND state = 'moving'`, m.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := readPlan(tx, at.Plan, false)
	if err != nil {
		return nil, err
	}
	if err := p.explain(tx, s.clock()); err != nil {
		return nil, err
	}
	moves, err := readPlanMoves(tx, p.ID, "", at.Seq-1, 1)
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
