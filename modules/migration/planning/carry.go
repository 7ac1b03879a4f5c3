package planning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

const lookAt = 1000 // moves of a plan in one transaction

// stoppedBecause says how many moves failed, which are fewer than the plan shows where
// it was let go on after others had.
func (p *Plan) stoppedBecause(failed int64) string {
	text := fmt.Sprintf("%d moves", failed)
	if failed == 1 {
		text = "1 move"
	}
	text += " failed"
	if p.forgiven > 0 {
		text += " since the plan was let go on"
	}
	return fmt.Sprintf("%s, and %d may: nothing more begins or cuts over. See why (smartseller plan show %s --state failed), then let the plan go on (smartseller plan resume %s) or cancel it.",
		text, p.Options.FailureBudget, p.ID, p.ID)
}

// follow takes over what became of the plan's moves.
func follow(tx control.Tx, p *Plan) error {
	var rows []struct {
		Seq   int64  `db:"seq"`
		State string `db:"state"`
		Phase string `db:"phase"`
		Cause string `db:"cause"`
		Ended *int64 `db:"ended_at"`
		Yield bool   `db:"yielded"`
	}
	err := tx.Select(&rows, `SELECT p.seq, p.state, m.phase, m.cause, m.ended_at,
			EXISTS (SELECT 1 FROM move_events e WHERE e.move_id = m.id AND e.kind = $3) AS yielded FROM plan_moves p JOIN moves m ON m.id = p.move_id
		WHERE p.plan_id = $1 AND (p.state = 'moving' AND (m.cut = 'committed' OR m.ended_at IS NOT NULL) OR p.state = 'moved' AND m.ended_at IS NOT NULL)
		ORDER BY p.seq LIMIT $2`, p.ID, int64(lookAt), migration.EventYield)
	if err != nil || len(rows) == 0 {
		return err
	}
	for _, r := range rows {
		to, cause := Moved, ""
		if r.Ended != nil {
			to, cause = outcome(p, migration.Phase(r.Phase), r.Cause, r.Yield)
		}
		if _, err := setMove(tx, p.ID, r.Seq, MoveState(r.State), to, "", cause); err != nil {
			return err
		}
	}
	return reread(tx, p)
}

// reread takes over what became of a plan in this transaction.
func reread(tx control.Tx, p *Plan) error {
	fresh, err := readPlan(tx, p.ID, false)
	if err == nil {
		*p = *fresh
	}
	return err
}

// outcome is what a move that has ended is to its plan. One that made way for an upgrade
// has its turn again.
func outcome(p *Plan, phase migration.Phase, cause string, yielded bool) (MoveState, string) {
	switch {
	case phase == migration.Completed:
		return Done, ""
	case (phase == migration.Cancelled || yielded) && p.State == Cancelling:
		return Skipped, "the plan was cancelled"
	case yielded && phase == migration.Failed:
		return Waiting, ""
	case cause == "":
		return Failed, "the move was " + map[migration.Phase]string{migration.Cancelled: "cancelled", migration.RolledBack: "rolled back"}[phase] + " by an operator"
	}
	return Failed, cause
}

// ready is a move that is verified and has not cut over.
type ready struct {
	Seq        int64                 `db:"seq"`
	Waits      string                `db:"waits"`
	Move       string                `db:"id"`
	Storefront backends.StorefrontID `db:"storefront_id"`
	Source     string                `db:"source_backend"`
	Target     string                `db:"target_backend"`
	Stats      string                `db:"stats"`
	Options    string                `db:"options"`
	Let        bool                  `db:"let"`
	at         time.Time
	why        string
}

// wasLet is the condition that a move was told to cut over, by a plan or an operator.
const wasLet = `(m.phase = 'cutting_over' OR m.phase = 'verifying' AND m.intent = 'cutover')`

// stands is the condition that a move which was not let is verified and stands by, or is
// paused: it does not copy. Its statistics have the time from when on it is verified.
const stands = `(m.phase = 'verifying' AND m.stats LIKE '%"verified_at":%' OR m.phase = 'paused' AND m.intent = '')`

// cutOver lets moves that are ready cut over, each at its time, and as many at a backend
// as may: each is compared once more. They have places of their own, since a copy may go
// on for longer than a window is open.
func (s *Scheduler) cutOver(ctx context.Context, p *Plan) error {
	now := s.clock()
	var found []*ready
	var at busy
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		if found, err = s.readReady(tx, p, now); err == nil && len(found) > 0 {
			at, err = readBusy(tx, now)
		}
		return err
	})
	for _, r := range found {
		if err != nil {
			return err
		}
		switch {
		case r.at.After(now):
			err = s.note(ctx, p, r.Seq, r.Waits, cutsOver(r.at, r.why))
		case r.Let:
			err = s.note(ctx, p, r.Seq, r.Waits, "")
		case at.cutovers.take(r.Source, r.Target, p.Options.PerBackend):
			err = s.let(ctx, p, r)
		default:
			err = s.note(ctx, p, r.Seq, r.Waits, "cuts over when others have: as many as may at a time cut over from or to its backends")
		}
	}
	return err
}

// readReady finds the moves of a plan that are ready, and when each should cut over. One
// that was let and has outlasted its window goes on by itself when that opens again.
func (s *Scheduler) readReady(tx control.Tx, p *Plan, now time.Time) (out []*ready, err error) {
	var rows []*ready
	err = tx.Select(&rows, `SELECT p.seq, p.waits, m.id, m.storefront_id, m.source_backend, m.target_backend, m.stats, m.options, `+wasLet+` AS let
		FROM plan_moves p JOIN moves m ON m.id = p.move_id
		WHERE p.plan_id = $1 AND p.state = 'moving' AND m.cut <> 'committed' AND (m.phase = 'verifying' AND m.intent = '' OR `+wasLet+`) ORDER BY p.seq LIMIT $2`, p.ID, int64(lookAt))
	if err != nil {
		return nil, err
	}
	var all, quiet []backends.StorefrontID // those whose hours matter
	for _, r := range rows {
		all = append(all, r.Storefront)
		if !r.Let && !p.Options.AtOnce {
			quiet = append(quiet, r.Storefront)
		}
	}
	wishes, err := migration.ReadBlackouts(tx, all...)
	if err != nil {
		return nil, err
	}
	days, err := s.days.of(tx, now, quiet)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		var stats migration.Stats
		if err := json.Unmarshal([]byte(r.Stats), &stats); err != nil {
			return nil, err
		}
		if stats.VerifiedAt == 0 {
			continue
		}
		window, err := windowOf(r.Options)
		if err != nil {
			return nil, err
		}
		if r.Let {
			r.at, r.why = permitted(now, window, nil)
		} else {
			r.at, r.why = p.cutoverAt(now, stats.VerifiedAt, window, wishes[r.Storefront], days[r.Storefront])
		}
		out = append(out, r)
	}
	return out, nil
}

// let lets a move cut over, unless its seller has asked for no move meanwhile.
func (s *Scheduler) let(ctx context.Context, p *Plan, r *ready) error {
	_, err := s.moves.AskIf(ctx, r.Move, migration.WantCutover, func(tx control.Tx) error {
		if _, err := s.still(tx, p); err != nil {
			return err
		}
		if err := migration.LockOpen(tx, r.Storefront); err != nil {
			return err
		}
		wishes, err := migration.ReadBlackouts(tx, r.Storefront)
		if err != nil {
			return err
		}
		if _, holds := wishes[r.Storefront].At(s.clock()); holds {
			return errNotNow
		}
		return setWaits(tx, p.ID, r.Seq, "")
	})
	if fault.Of(err).Kind == fault.Conflict { // it has gone another way meanwhile
		return nil
	}
	return err
}

// unchanged is the condition that this instance may still act on a plan.
func (s *Scheduler) unchanged(p *Plan) func(control.Tx) error {
	return func(tx control.Tx) error {
		_, err := s.still(tx, p)
		return err
	}
}

// note says what a move waits for, unless that is said already.
func (s *Scheduler) note(ctx context.Context, p *Plan, seq int64, said, waits string) error {
	if said == waits {
		return nil
	}
	return s.update(ctx, p, func(tx control.Tx, p *Plan) error {
		return setWaits(tx, p.ID, seq, waits)
	})
}

// turn is a move that may begin, as far as its wave goes.
type turn struct {
	Seq        int64  `db:"seq"`
	Storefront string `db:"storefront_id"`
	Source     string `db:"source"`
	Target     string `db:"target"`
	Reason     string `db:"reason"`
	Zone       string `db:"time_zone"`
}

// begin starts the moves whose turn it is, as many as the backends may have at once.
func (s *Scheduler) begin(ctx context.Context, p *Plan) error {
	if err := s.leaveOut(ctx, p); err != nil {
		return err
	}
	now := s.clock()
	if err := s.replaceCanaries(ctx, p, now); err != nil {
		return err
	}
	var turns []turn
	var at busy
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		if turns, err = readTurns(tx, p, now); err == nil && len(turns) > 0 {
			at, err = readBusy(tx, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range turns {
		if !at.copies.take(t.Source, t.Target, p.Options.PerBackend) {
			continue
		}
		if err := s.start(ctx, p, t); err != nil {
			return err
		}
	}
	return nil
}

// readTurns finds the moves of the wave that is under way, and of earlier ones, that
// wait; not those whose sellers want none now.
func readTurns(tx control.Tx, p *Plan, now time.Time) (turns []turn, err error) {
	var news int64 // that comes first: a move that has just ended may have failed, and stop the plan
	if err := tx.Get(&news, `SELECT count(*) FROM plan_moves p JOIN moves m ON m.id = p.move_id
		WHERE p.plan_id = $1 AND p.state IN ('moving', 'moved') AND m.ended_at IS NOT NULL`, p.ID); err != nil || news > 0 {
		return nil, err
	}
	at, err := readStanding(tx, p, now)
	if err != nil || at.soaked.After(now) {
		return nil, err
	}
	err = tx.Select(&turns, `SELECT p.seq, p.storefront_id, p.source, p.target, p.reason, COALESCE(s.time_zone, 'UTC') AS time_zone
		FROM plan_moves p LEFT JOIN storefronts s ON s.id = p.storefront_id
		WHERE p.plan_id = $1 AND p.state = 'waiting' AND p.wave <= $3 AND NOT `+barred+`
			AND NOT EXISTS (SELECT 1 FROM moves m WHERE m.storefront_id = p.storefront_id AND m.ended_at IS NULL) ORDER BY p.seq`, p.ID, now.UnixMicro(), at.wave)
	return turns, err
}

// busy are the places that open moves take at each backend.
type busy struct {
	copies   occupied // of those that have begun, and neither stand by nor were let cut over
	cutovers occupied // of those that were let cut over, until they have
}

// readBusy counts the moves that work. One that was let cut over and has outlasted its
// window only stays in step until that opens again, and takes no place till then: it would
// keep out those whose windows are open meanwhile.
func readBusy(tx control.Tx, now time.Time) (busy, error) {
	var rows []struct {
		Source  string `db:"source_backend"`
		Target  string `db:"target_backend"`
		Options string `db:"options"`
		Let     bool   `db:"let"`
		N       int64  `db:"n"`
	}
	err := tx.Select(&rows, `SELECT m.source_backend, m.target_backend, m.options, `+wasLet+` AS let, count(*) AS n FROM moves m
		WHERE m.ended_at IS NULL AND m.cut <> 'committed' AND (`+wasLet+` OR NOT `+stands+` AND NOT (m.phase = 'planned' AND m.owner = '' AND m.lease_until > $1))
		GROUP BY m.source_backend, m.target_backend, m.options, `+wasLet, tx.Now())
	at := busy{occupied{}, occupied{}}
	for _, r := range rows {
		taken := at.copies
		if r.Let {
			window, err := windowOf(r.Options)
			if err != nil {
				return at, err
			}
			if !window.Open(now) {
				continue
			}
			taken = at.cutovers
		}
		taken[r.Source] += r.N
		taken[r.Target] += r.N
	}
	return at, err
}

// start begins one move. That it has begun is written in the move's own transaction.
func (s *Scheduler) start(ctx context.Context, p *Plan, t turn) error {
	_, err := s.moves.Start(ctx, migration.Request{
		Storefront: backends.StorefrontID(t.Storefront), Target: t.Target, Options: p.Options.move(t.Zone), By: p.ApprovedBy,
		Reason: "plan " + p.ID + ": " + t.Reason,
		Also: func(tx control.Tx, move string) error {
			if _, err := s.still(tx, p); err != nil {
				return err
			}
			var source string
			if err := tx.Get(&source, `SELECT source_backend FROM moves WHERE id = $1`, move); err != nil {
				return err
			}
			if source != t.Source {
				return errElsewhere
			}
			n, err := setMove(tx, p.ID, t.Seq, Waiting, Moving, move, "")
			if err == nil && n == 0 {
				err = errNotNow
			}
			return err
		},
	})
	switch kind := fault.Of(err).Kind; {
	case err == nil || errors.Is(err, errNotNow):
		return err
	case errors.Is(err, migration.ErrMoveOpen): // its turn comes when that one has ended
		return nil
	case errors.Is(err, migration.ErrAlreadyThere), errors.Is(err, errElsewhere):
		return s.drop(ctx, p, t.Seq, Skipped, fault.Of(err).Detail)
	case kind == fault.NotFound || kind == fault.Conflict || kind == fault.Invalid:
		if err := s.drop(ctx, p, t.Seq, Failed, fault.Of(err).Detail); err != nil {
			return err
		}
		return errNotNow // that may be one failure too many: the next step judges before more begins
	}
	return err
}

func (s *Scheduler) drop(ctx context.Context, p *Plan, seq int64, to MoveState, cause string) error {
	return s.update(ctx, p, func(tx control.Tx, p *Plan) error {
		_, err := setMove(tx, p.ID, seq, Waiting, to, "", cause)
		return err
	})
}

// undo asks the moves of a plan that is being cancelled to go back, where they can.
func (s *Scheduler) undo(ctx context.Context, p *Plan) error {
	var open []string
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		open = nil
		return tx.Select(&open, `SELECT m.id FROM plan_moves p JOIN moves m ON m.id = p.move_id
			WHERE p.plan_id = $1 AND p.state = 'moving' AND m.ended_at IS NULL AND m.cut <> 'committed' AND m.intent <> 'cancel' AND m.phase <> 'cancelling'
			ORDER BY p.seq LIMIT $2`, p.ID, int64(lookAt))
	})
	for _, id := range open {
		if err != nil {
			return err
		}
		_, err = s.moves.AskIf(ctx, id, migration.WantCancel, s.unchanged(p))
		if fault.Of(err).Kind == fault.Conflict { // too late: it has cut over
			err = nil
		}
	}
	return err
}
