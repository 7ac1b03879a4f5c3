package planning

import (
	"time"

	"smartseller/platform/control"
)

// progress is how far the moves of a plan are.
type progress struct {
	open     int64     // the first wave with a move that is under way or may begin
	begun    int64     // the last wave of which a move has begun
	proved   bool      // a move has come to its target
	canaries time.Time // the last canary came to its target, or did not; zero: none has yet
}

// standing is how far the waves of a plan are.
type standing struct {
	wave   int64     // whose moves may begin, and those that are left of earlier ones
	soaked time.Time // for so long canaries are watched; zero: none need be, or not yet
}

// standing says what may begin. A storefront whose seller wanted no move may again when later
// waves are under way: those go on beside it, and its soak is over, also if it is a canary. But
// where all that has begun was in vain, canaries prove the plan anew.
func (o PlanOptions) standing(p progress) standing {
	at := standing{wave: p.open}
	if p.proved || o.canaries() == 0 {
		at.wave = max(p.open, p.begun)
	}
	watched := p.proved && p.begun > 0
	if at.wave > 0 && o.SoakSeconds > 0 && !p.canaries.IsZero() && !watched {
		at.soaked = p.canaries.Add(time.Duration(o.SoakSeconds) * time.Second)
	}
	return at
}

// barred is the condition that the seller of the storefront of p wants no move at the time $2.
const barred = `EXISTS (SELECT 1 FROM blackouts b WHERE b.storefront_id = p.storefront_id AND b.begins_at <= $2 AND b.ends_at > $2)`

// readStanding finds how far the waves are: moves whose sellers want none now hold up no wave,
// neither before they begin nor when they stand by. Where none else is left no move waits for
// a wave.
func readStanding(tx control.Tx, p *Plan, now time.Time) (standing, error) {
	at := p.progress()
	err := tx.Get(&at.open, `SELECT COALESCE(min(p.wave), $3) FROM plan_moves p LEFT JOIN moves m ON m.id = p.move_id
		WHERE p.plan_id = $1 AND (p.state = 'moving' AND NOT (COALESCE(`+stands+`, false) AND `+barred+`) OR p.state = 'waiting' AND NOT `+barred+`)`, p.ID, now.UnixMicro(), p.lastWaits)
	if err != nil {
		return standing{}, err
	}
	at.canaries, err = canariesEnded(tx, p.ID)
	return p.Options.standing(at), err
}

// progress is what is known of it without looking at single moves.
func (p *Plan) progress() progress {
	return progress{open: p.firstOpen, begun: p.begun, proved: p.Moves[Moved]+p.Moves[Done] > 0}
}

// canariesEnded is when the last canary of a plan came to its target, or was known not to;
// zero: none has yet.
func canariesEnded(tx control.Tx, plan string) (at time.Time, err error) {
	var micros *int64
	err = tx.Get(&micros, `SELECT max(CASE WHEN moved_at > 0 THEN moved_at ELSE updated_at END) FROM plan_moves
		WHERE plan_id = $1 AND wave = 0 AND state NOT IN ('waiting', 'moving')`, plan)
	if micros != nil {
		at = time.UnixMicro(*micros)
	}
	return at, err
}
