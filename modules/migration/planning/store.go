package planning

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"smartseller/platform/control"
)

type planRow struct {
	ID          string `db:"id"`
	State       string `db:"state"`
	Options     string `db:"options"`
	Policy      string `db:"policy"`
	Reason      string `db:"reason"`
	Cause       string `db:"cause"`
	Forgiven    int64  `db:"forgiven"`
	LeftOut     int64  `db:"left_out"`
	RequestedBy string `db:"requested_by"`
	ApprovedBy  string `db:"approved_by"`
	CreatedAt   int64  `db:"created_at"`
	UpdatedAt   int64  `db:"updated_at"` // with its state: nothing else of it changes
	EndedAt     *int64 `db:"ended_at"`
}

const planColumns = `id, state, options, policy, reason, cause, forgiven, left_out, requested_by, approved_by, created_at, updated_at, ended_at`

func (r *planRow) plan() (*Plan, error) {
	p := &Plan{
		ID: r.ID, State: PlanState(r.State), Cause: r.Cause, Policy: r.Policy, Reason: r.Reason, LeftOut: r.LeftOut, RequestedBy: r.RequestedBy,
		ApprovedBy: r.ApprovedBy, CreatedAt: r.CreatedAt, EndedAt: r.EndedAt, since: r.UpdatedAt, forgiven: r.Forgiven, Moves: map[MoveState]int64{},
	}
	return p, json.Unmarshal([]byte(r.Options), &p.Options)
}

// readPlan reads a plan; lock holds its row until the transaction ends.
func readPlan(tx control.Tx, id string, lock bool) (*Plan, error) {
	var r planRow
	get := tx.Get
	if lock {
		get = tx.GetLocked
	}
	err := get(&r, `SELECT `+planColumns+` FROM plans WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoPlan
	}
	if err != nil {
		return nil, err
	}
	p, err := r.plan()
	if err != nil {
		return nil, err
	}
	return p, count(tx, []*Plan{p})
}

// readPlans reads plans, newest first, after the one with the id cursor.
func readPlans(tx control.Tx, cursor string, limit int64) ([]*Plan, error) {
	var rows []planRow
	if err := tx.Select(&rows, `SELECT `+planColumns+` FROM plans WHERE id < $1 ORDER BY id DESC LIMIT $2`, cursor, limit); err != nil {
		return nil, err
	}
	return plansOf(tx, rows)
}

// readDuePlans reads those that the scheduler has to do with, oldest first: those that
// are carried out, and any one that has not noted yet how a move ended that was watched.
func readDuePlans(tx control.Tx) ([]*Plan, error) {
	var rows []planRow
	err := tx.Select(&rows, `SELECT `+planColumns+` FROM plans WHERE id IN (SELECT id FROM plans WHERE ended_at IS NULL AND state <> 'proposed'
		UNION SELECT p.plan_id FROM plan_moves p JOIN moves m ON m.id = p.move_id WHERE p.state = 'moved' AND m.ended_at IS NOT NULL) ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return plansOf(tx, rows)
}

func plansOf(tx control.Tx, rows []planRow) ([]*Plan, error) {
	out := make([]*Plan, len(rows))
	for i := range rows {
		p, err := rows[i].plan()
		if err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, count(tx, out)
}

// count fills in how many moves of plans are in each state, and which wave is under way, if
// no seller minded.
func count(tx control.Tx, plans []*Plan) error {
	byID := map[string]*Plan{}
	var all []string
	for _, p := range plans {
		byID[p.ID] = p
		all = append(all, p.ID)
	}
	if len(plans) == 0 {
		return nil
	}
	marks, ids := control.List(nil, all)
	var rows []struct {
		Plan  string `db:"plan_id"`
		State string `db:"state"`
		N     int64  `db:"n"`
		First int64  `db:"first"`
		Last  int64  `db:"last"`
		Begun int64  `db:"begun"`
	}
	err := tx.Select(&rows, `SELECT plan_id, state, count(*) AS n, min(wave) AS first, max(wave) AS last,
		COALESCE(max(CASE WHEN move_id <> '' THEN wave END), 0) AS begun FROM plan_moves
		WHERE plan_id IN (`+marks+`) GROUP BY plan_id, state`, ids...)
	open := map[string]bool{}
	for _, r := range rows {
		p := byID[r.Plan]
		p.Moves[MoveState(r.State)] = r.N
		p.Total += r.N
		p.Waves, p.begun = max(p.Waves, r.Last+1), max(p.begun, r.Begun)
		if MoveState(r.State) == Waiting {
			p.lastWaits = r.Last
		}
		if MoveState(r.State) == Waiting || MoveState(r.State) == Moving {
			if !open[r.Plan] || r.First < p.firstOpen {
				p.firstOpen = r.First
			}
			open[r.Plan] = true
		}
	}
	for _, p := range plans {
		if !open[p.ID] {
			p.firstOpen = max(0, p.Waves-1)
		}
		p.Wave = p.Options.standing(p.progress()).wave
	}
	return err
}

const insertedAtOnce = 100 // rows of one INSERT

// insertRows inserts many rows by few statements: what stands before their values and behind.
func insertRows(tx control.Tx, into string, rows [][]any, behind string) error {
	for some := range slices.Chunk(rows, insertedAtOnce) {
		var values []string
		var args []any
		for _, row := range some {
			marks := make([]string, len(row))
			for i := range row {
				marks[i] = fmt.Sprintf("$%d", len(args)+i+1)
			}
			values, args = append(values, "("+strings.Join(marks, ", ")+")"), append(args, row...)
		}
		if _, err := tx.Exec(into+" VALUES "+strings.Join(values, ", ")+" "+behind, args...); err != nil {
			return err
		}
	}
	return nil
}

func insertPlan(tx control.Tx, p *Plan, moves []PlanMove) error {
	options, err := json.Marshal(p.Options)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO plans (id, state, options, policy, reason, cause, forgiven, left_out, requested_by, approved_by, created_at, updated_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, '', 0, $6, $7, $8, $9, $9, NULL)`,
		p.ID, string(p.State), string(options), p.Policy, p.Reason, p.LeftOut, p.RequestedBy, p.ApprovedBy, tx.Now())
	if err != nil {
		return err
	}
	var rows [][]any
	for _, m := range moves {
		rows = append(rows, []any{p.ID, m.Seq, m.Wave, string(m.Storefront), m.Source, m.Target, m.Reason, m.Rows, m.Bytes, string(Waiting), "", "", "", 0, tx.Now()})
	}
	err = insertRows(tx, `INSERT INTO plan_moves (plan_id, seq, wave, storefront_id, source, target, reason, row_count, byte_count, state, move_id, cause, waits, moved_at, updated_at)`, rows, "")
	if errors.Is(err, control.ErrUnique) {
		return ErrPlannedTwice.Because(err)
	}
	return err
}

// setPlan moves a plan, whose row is locked, on to another state.
func setPlan(tx control.Tx, p *Plan, to PlanState) error {
	p.State = to
	if to == Cancelled || to == Completed {
		now := tx.Now()
		p.EndedAt = &now
	}
	_, err := tx.Exec(`UPDATE plans SET state = $2, cause = $3, forgiven = $4, approved_by = $5, ended_at = $6, updated_at = $7 WHERE id = $1`,
		p.ID, string(to), p.Cause, p.forgiven, p.ApprovedBy, p.EndedAt, tx.Now())
	return err
}

// readPlanMoves reads up to limit moves of a plan by their turns, after one; in one
// state, or ("") in any.
func readPlanMoves(tx control.Tx, plan string, state MoveState, after, limit int64) (out []PlanMove, err error) {
	err = tx.Select(&out, `SELECT m.seq, m.wave, m.storefront_id, COALESCE(s.slug, '') AS slug, m.source, m.target, m.reason, m.row_count, m.byte_count, m.state,
		m.move_id, m.cause, m.waits, m.moved_at FROM plan_moves m LEFT JOIN storefronts s ON s.id = m.storefront_id
		WHERE m.plan_id = $1 AND m.seq > $2 AND ($3 = '' OR m.state = $3) ORDER BY m.seq LIMIT $4`, plan, after, string(state), limit)
	return out, err
}

// setMove takes a plan's move from one state to another, or (seq 0) all that are in
// it. It says how many there were.
func setMove(tx control.Tx, plan string, seq int64, from, to MoveState, move, cause string) (int64, error) {
	movedAt := int64(0)
	if to == Moved || to == Done {
		movedAt = tx.Now()
	}
	return tx.Exec(`UPDATE plan_moves SET state = $4, move_id = CASE WHEN $5 = '' THEN move_id ELSE $5 END, cause = $6, waits = '',
		moved_at = CASE WHEN CAST($7 AS BIGINT) = 0 OR moved_at > 0 THEN moved_at ELSE $7 END, updated_at = $8
		WHERE plan_id = $1 AND (CAST($2 AS BIGINT) = 0 OR seq = $2) AND state = $3`,
		plan, seq, string(from), string(to), move, cause, movedAt, tx.Now())
}
