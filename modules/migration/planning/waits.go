package planning

import (
	"fmt"
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/control"
)

// What a plan and its moves wait for is found out when somebody asks, by what the scheduler
// decides by. Written down is only when a move that stands by cuts over.

// explain says what all moves of a plan wait for. Why it was stopped is in its cause.
func (p *Plan) explain(tx control.Tx, now time.Time) error {
	switch p.State {
	case Proposed:
		p.Waits = "begins when it is approved: smartseller plan approve " + p.ID
	case Paused:
		p.Waits = "nothing more begins or cuts over until the plan is let go on: smartseller plan resume " + p.ID
	case Running:
		if p.Moves[Waiting]+p.Moves[Moving] == 0 {
			return p.explainWindows(tx, now)
		}
		at, err := readStanding(tx, p, now)
		if err == nil {
			p.Waits = p.explainWaves(at, now)
		}
		return err
	}
	return nil
}

func (p *Plan) explainWaves(at standing, now time.Time) string {
	switch {
	case p.Moves[Waiting] == 0:
		return ""
	case at.soaked.After(now):
		return fmt.Sprintf("canaries are watched until %s; moves of later waves begin then", rfc3339(at.soaked))
	case p.lastWaits <= at.wave:
		return ""
	case at.wave == 0 && p.Options.SoakSeconds > 0:
		return fmt.Sprintf("moves of later waves begin when the canaries are at their targets, and were watched there for %s", time.Duration(p.Options.SoakSeconds)*time.Second)
	}
	return "moves of later waves begin when all of the wave that is under way are at their targets"
}

// explainWindows says until when rollback windows are open, of which each began before its
// plan noticed that the move had cut over.
func (p *Plan) explainWindows(tx control.Tx, now time.Time) error {
	var last *int64
	err := tx.Get(&last, `SELECT max(moved_at) FROM plan_moves WHERE plan_id = $1 AND state = 'moved'`, p.ID)
	if err != nil || last == nil {
		return err
	}
	if until := time.UnixMicro(*last).Add(p.Options.window()); until.After(now) {
		p.Waits = fmt.Sprintf("no move is left to begin or to cut over; the plan is completed when the last rollback window has closed, at %s", rfc3339(until))
	} else {
		p.Waits = fmt.Sprintf("no move is left to begin or to cut over; the rollback windows ran out by %s and close now: "+
			"smartseller move explain STOREFRONT says what holds one up", rfc3339(until))
	}
	return nil
}

// explainMoves says of successive moves of a plan what each waits for, where that is not
// what all wait for.
func explainMoves(tx control.Tx, p *Plan, moves []PlanMove, now time.Time) error {
	facts, err := readFacts(tx, p, moves)
	if err != nil || len(facts) == 0 {
		return err
	}
	var of []backends.StorefrontID
	for _, m := range moves {
		of = append(of, m.Storefront)
	}
	wishes, err := migration.ReadBlackouts(tx, of...)
	if err != nil {
		return err
	}
	var at standing
	var taken busy
	if p.State == Running {
		if at, err = readStanding(tx, p, now); err != nil {
			return err
		}
		if taken, err = readBusy(tx, now); err != nil {
			return err
		}
	}
	for i := range moves {
		m, f := &moves[i], facts[moves[i].Seq]
		held, holds := wishes[m.Storefront].At(now)
		switch {
		case m.State == Moving:
			if m.Waits, err = f.explainMoving(p, m, now); err != nil {
				return err
			}
		case m.State != Waiting:
			m.Waits = ""
		case holds:
			m.Waits = held.String()
		case f.Move != "":
			m.Waits = "begins when another move of its storefront has ended: " + f.Move
		case p.State == Running && m.Wave <= at.wave && !at.soaked.After(now) && !taken.copies.free(m.Source, m.Target, p.Options.PerBackend):
			m.Waits = "begins when others are copied: as many as may at a time copy from or to its backends"
		default: // its turn has not come, as the plan says, or comes within a second
			m.Waits = ""
		}
	}
	return nil
}

// facts are what is known of a move beside its plan.
type facts struct {
	Seq     int64  `db:"seq"`
	Move    string `db:"id"` // of its storefront, that is open; "": none is
	Paused  bool   `db:"paused"`
	Let     bool   `db:"let"`
	Options string `db:"options"`
}

// readFacts finds them for those of successive moves that wait or are under way.
func readFacts(tx control.Tx, p *Plan, moves []PlanMove) (map[int64]facts, error) {
	if len(moves) == 0 {
		return nil, nil
	}
	var rows []facts
	err := tx.Select(&rows, `SELECT p.seq, COALESCE(m.id, '') AS id,
			COALESCE(m.phase = 'paused' AND m.intent = '', false) AS paused, COALESCE(`+wasLet+`, false) AS let, COALESCE(m.options, '') AS options
		FROM plan_moves p LEFT JOIN moves m ON m.storefront_id = p.storefront_id AND m.ended_at IS NULL
		WHERE p.plan_id = $1 AND p.seq >= $2 AND p.seq <= $3 AND p.state IN ('waiting', 'moving')`,
		p.ID, moves[0].Seq, moves[len(moves)-1].Seq)
	out := make(map[int64]facts, len(rows))
	for _, f := range rows {
		out[f.Seq] = f
	}
	return out, err
}

// explainMoving says what a move waits for that is under way. When one cuts over that was
// not let yet is what the scheduler wrote down, and holds only while its plan runs.
func (f facts) explainMoving(p *Plan, m *PlanMove, now time.Time) (string, error) {
	switch {
	case f.Paused:
		return "was paused by an operator; goes on with: smartseller move resume " + m.Move, nil
	case f.Let && p.State != Cancelling:
		window, err := windowOf(f.Options)
		if err != nil {
			return "", err
		}
		at, why := permitted(now, window, nil)
		switch {
		case at.After(now):
			return cutsOver(at, why), nil
		case p.State != Running:
			return "cuts over all the same, since it was let before; to hold it: smartseller move pause " + m.Move, nil
		}
		return "", nil
	case p.State == Running:
		return m.Waits, nil
	}
	return "", nil
}

func cutsOver(at time.Time, why string) string {
	return fmt.Sprintf("cuts over at %s: %s", rfc3339(at), why)
}

func rfc3339(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// window is how long a rollback of each move stays possible.
func (o PlanOptions) window() time.Duration {
	if o.WindowSeconds > 0 {
		return time.Duration(o.WindowSeconds) * time.Second
	}
	return 24 * time.Hour
}

func setWaits(tx control.Tx, plan string, seq int64, waits string) error {
	_, err := tx.Exec(`UPDATE plan_moves SET waits = $3, updated_at = $4 WHERE plan_id = $1 AND seq = $2`, plan, seq, waits, tx.Now())
	return err
}
