package migration

import (
	"context"
	"errors"
	"maps"
	"slices"

	"smartseller/backends"
	"smartseller/platform/control"
)

// unsaid is the kind of a transition that is no event.
const unsaid = ""

// save persists a transition, guarded by the fencing number: errLost when the
// move was taken over. change may run again.
func (x *run) save(ctx context.Context, kind string, data any, change func(tx control.Tx, m *Move) error) error {
	x.saving.Lock()
	defer x.saving.Unlock()
	var saved *Move
	err := x.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		m, err := readMove(tx, x.m.ID, true)
		if err != nil {
			return err
		}
		if m.Gen != x.m.Gen {
			return errLost
		}
		m.Stats = x.m.Stats
		if err := change(tx, m); err != nil {
			return err
		}
		m.LeaseUntil = tx.Now() + x.leaseOf(m).Microseconds()
		if m.EndedAt != nil {
			m.LeaseUntil = 0
		}
		if err := writeMove(tx, m); err != nil {
			return err
		}
		saved = m
		if kind == unsaid {
			return nil
		}
		return addEvent(tx, m.ID, kind, data)
	})
	if err != nil && !errors.Is(err, errLost) && !errors.Is(err, backends.ErrPlacementChanged) {
		return &controlError{err}
	}
	if err != nil {
		return err
	}
	x.m = saved
	x.saves++
	x.intent.Store(saved.Intent)
	return nil
}

func (x *run) countSaves() int {
	x.saving.Lock()
	defer x.saving.Unlock()
	return x.saves
}

// hear takes what the operator wants, unless a transition that was saved since may
// have fulfilled it.
func (x *run) hear(want Intent, since int) {
	x.saving.Lock()
	defer x.saving.Unlock()
	if x.saves == since {
		x.intent.Store(want)
	}
}

// controlError says that the control database did not do what it was asked, or gave
// no answer and may have done it. That is no fault of the move, which halts.
type controlError struct{ error }

func (e *controlError) Unwrap() error { return e.error }

// halts says that an error is no fault of the move, and passes.
func halts(err error) bool {
	var away *controlError
	var held *heldError
	return errors.As(err, &away) || errors.Is(err, control.ErrAway) || errors.As(err, &held)
}

// enter moves on to a phase.
func (x *run) enter(ctx context.Context, p Phase, more ...func(m *Move)) error {
	data := map[string]any{"phase": p, "from": x.m.Phase}
	ends := slices.Contains(endedPhases, p)
	err := x.save(ctx, "phase", data, func(tx control.Tx, m *Move) error {
		if p == Cancelling && m.Cut == Committed {
			return errLost // the answer of a commit was lost, and it did happen: whoever claims the move next sees that
		}
		if p == CuttingOver && m.Phase == Verifying && m.Options.ManualCutover && m.Intent != WantCutover {
			return errTakenBack
		}
		if p == CuttingOver && m.Phase == Verifying {
			barred, err := barredSince(tx, m)
			if err != nil {
				return err
			}
			if barred {
				return errBarred
			}
		}
		if p == Finalizing && m.Intent == WantRollback {
			return errAskedBack
		}
		m.begins(p, tx.Now())
		for _, fn := range more {
			fn(m)
		}
		if now := tx.Now(); ends {
			m.EndedAt, m.SourceKept = &now, x.sourceKept
		}
		return nil
	})
	if err == nil && ends {
		x.tellEnd(ctx)
	}
	return err
}

// does tells what the move is about, where that may take long and its phase does not say it;
// "": it is over.
func (x *run) does(ctx context.Context, what string) error {
	if x.m.Stats.Doing == what {
		return nil
	}
	return x.save(ctx, "doing", map[string]any{"doing": what}, func(_ control.Tx, m *Move) error {
		m.Stats.Doing = what
		return nil
	})
}

// did tells that it is over. That may stay untold when the control database is away, for the
// next transition tells it too.
func (x *run) did(ctx context.Context) {
	if err := x.does(ctx, ""); err != nil {
		x.log.DebugContext(ctx, "what a move has done was not written down", "move", x.m.ID, "error", err)
	}
}

// What a move does once more, or waits for, before it cuts over or back.
const (
	waitsForSlot  = "waits until fewer moves of its instance copy or compare"
	comparesAgain = "compares every row of both places once more, before it cuts over"
	waitsForBack  = "waits until fewer rollbacks of its instance compare"
	asksAgain     = "asks, now that it has said no once, again and again the gate "
	comparesBack  = "compares every row of both places, before it cuts back"
)

// begins notes that a phase begins, or goes on behind a pause.
func (m *Move) begins(p Phase, now int64) {
	s := &m.Stats
	for _, times := range []*map[Phase]int64{&s.PhaseStartedAt, &s.WorkedMicros} {
		if *times = maps.Clone(*times); *times == nil { // a clone, since the transaction may run again
			*times = map[Phase]int64{}
		}
	}
	s.WorkedMicros[m.Phase] = s.Worked(m.Phase, m.Phase, now)
	s.SinceMicros = now
	if resumed := m.Phase == Paused && p == m.ResumePhase && s.PhaseStartedAt[p] > 0; !resumed {
		s.PhaseStartedAt[p] = now
	}
	m.Phase, s.Trouble, s.Doing = p, nil, ""
	if !p.heavy() || p == Paused {
		s.Halted = "" // nothing works that could halt
	}
}

// Worked is how long a phase has lasted at a time, without pauses, of a move that is in one.
func (s *Stats) Worked(of, in Phase, now int64) int64 {
	worked := s.WorkedMicros[of]
	if of == in {
		since := s.SinceMicros
		if since == 0 { // of a program that noted less
			since = s.PhaseStartedAt[in]
		}
		if since > 0 {
			worked += max(0, now-since)
		}
	}
	return worked
}

// tellEnd counts a move that has ended; that one has failed is told, too.
func (x *run) tellEnd(ctx context.Context) {
	x.metrics.ended.WithLabelValues(string(x.m.Phase)).Inc()
	if x.m.Phase == Failed {
		x.log.ErrorContext(ctx, "a move has failed", "move", x.m.ID, "storefront", x.m.Storefront, "cause", x.m.Cause, "to do", x.m.Advice)
	}
}

// answer clears the intent that a transition fulfils; one that was asked since stays.
func answer(fulfilled Intent) func(m *Move) {
	return func(m *Move) {
		if m.Intent == fulfilled {
			m.Intent = NoIntent
		}
	}
}

// rememberKept asks again for what was asked before the pause.
func rememberKept(m *Move) {
	if m.Intent == NoIntent {
		m.Intent, m.Kept = m.Kept, NoIntent
	}
}

// answerAll clears whatever was asked: it is fulfilled, or comes too late.
func answerAll(m *Move) { m.Intent, m.Kept = NoIntent, NoIntent }
