package migration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// Wait is one thing that a move waits for, and what to do about it; Todo is empty
// where waiting is all there is to do.
type Wait struct {
	For    string `json:"for" doc:"cause, trouble, operator, plan, lease, pace, backend, transaction, lock, key, backlog, window, gate, audit, progress or end"`
	Detail string `json:"detail"`
	Todo   string `json:"todo,omitempty"`
}

// Explanation says why a move is where it is.
type Explanation struct {
	Move       string                `json:"move_id"`
	Storefront backends.StorefrontID `json:"storefront_id"`
	Phase      Phase                 `json:"phase"`
	Mode       string                `json:"mode,omitempty" doc:"rehearsal or drill; none: a move that is to last"`
	Since      int64                 `json:"since" doc:"When the phase began, microseconds UTC"`
	Waits      []Wait                `json:"waits"`
}

// Explainer says what else a move waits for, by what its control database knows.
type Explainer func(tx control.Tx, m *Move) ([]Wait, error)

// ExplainBy is told, before anything is explained, who knows for whom the moves of plans wait.
func (s *Service) ExplainBy(plans Explainer) { s.plans = plans }

// explainPatience bounds how long one place may take to answer.
const explainPatience = 3 * time.Second

// Explain finds out what a move waits for: what is persisted says one half, the two
// places, asked now, the other.
func (s *Service) Explain(ctx context.Context, id string) (*Explanation, error) {
	var m *Move
	var now, all int64
	var asked []Wait // by the seller
	var tables []Checkpoint
	var word []Wait // that it waits for: an operator's, or its plan's
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		now = tx.Now()
		if m, err = readMove(tx, id, false); err != nil {
			return err
		}
		if asked, err = explainSeller(tx, m); err != nil {
			return err
		}
		if word = explainWord(m, now); len(word) > 0 && s.plans != nil {
			planned, err := s.plans(tx, m)
			if err != nil {
				return err
			}
			if len(planned) > 0 {
				word = planned
			}
		}
		if all, err = paceOfAll(tx); err != nil {
			return err
		}
		tables, err = readCheckpoints(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	e := &Explanation{Move: m.ID, Storefront: m.Storefront, Phase: m.Phase, Mode: m.Options.Mode, Since: m.CreatedAt, Waits: explainMove(m, tables, all, now)}
	if at, ok := m.Stats.PhaseStartedAt[m.Phase]; ok {
		e.Since = at
	}
	if m.EndedAt == nil {
		e.Waits = append(e.Waits, word...)
		e.Waits = append(e.Waits, asked...)
		e.Waits = append(e.Waits, s.explainPlaces(ctx, m)...)
	}
	return e, nil
}

// explainMove reads from what is persisted whom or what a move waits for; all is the share of
// the time, in percent, that all moves may work at most.
func explainMove(m *Move, tables []Checkpoint, all, now int64) []Wait {
	if m.EndedAt != nil {
		w := Wait{For: "end", Detail: fmt.Sprintf("the move has ended: %s", m.Phase), Todo: m.Advice}
		if m.Cause != "" {
			w.Detail += "; " + m.Cause
		}
		if m.SourceKept {
			w.Detail += fmt.Sprintf("; should its place on %s come back, it is freed of the move", m.Source.Backend)
		}
		if m.LeftBehind != "" {
			w.Detail += fmt.Sprintf("; what it left on %s is erased when it can be", m.LeftBehind)
		}
		return []Wait{w}
	}
	var out []Wait
	if m.Cause != "" {
		what := "cause"
		if strings.HasPrefix(m.Cause, "gate ") { // as a gate's error begins
			what = "gate"
		}
		out = append(out, Wait{For: what, Detail: m.Cause, Todo: m.Advice})
	}
	if m.Phase == Paused && m.Intent == NoIntent {
		return append(out, Wait{For: "operator", Detail: "the move is paused", Todo: fmt.Sprintf("resume or cancel it: smartseller move resume %s", m.ID)})
	}
	if m.scheduled(now) {
		return append(out, m.explainBegin(now))
	}
	if t := m.Stats.Trouble; t != nil {
		out = append(out, Wait{
			For: "trouble", Detail: fmt.Sprintf("its steps have not worked for %s, and are tried again: %s", span(now-t.Since), t.Error),
			Todo: "put right what it names: the move goes on by itself, or ends and says why",
		})
	}
	out = append(out, explainLease(m, now))
	tooEarly := m.Intent == WantCutover && !m.Options.cutoverWindow().Open(time.UnixMicro(now)) // which is told below
	if m.Intent != NoIntent && !tooEarly {
		out = append(out, Wait{For: "operator", Detail: fmt.Sprintf("%s was asked and has not happened yet: it does between two steps", m.Intent)})
	}
	return append(out, explainPhase(m, tables, all, now)...)
}

func explainLease(m *Move, now int64) Wait {
	if m.LeaseUntil < now {
		return Wait{
			For: "lease", Detail: fmt.Sprintf("no instance runs the move; it could be taken over for %s already", span(now-max(m.LeaseUntil, m.UpdatedAt))),
			Todo: "see that a server runs and reaches the control database; one that does takes a free move within a second, unless it runs as many as it may",
		}
	}
	return Wait{For: "lease", Detail: fmt.Sprintf("instance %s runs it, fencing number %d, and has renewed its lease until %s from now", m.Owner, m.Gen, span(m.LeaseUntil-now))}
}

func explainPhase(m *Move, tables []Checkpoint, all, now int64) []Wait {
	var out []Wait
	if m.Stats.Halted != "" {
		out = append(out, Wait{
			For: "pace", Detail: "halts, since " + m.Stats.Halted,
			Todo: "nothing: it goes on when that has passed. See what the server is busy with",
		})
	} else if bound := m.Stats.PacePercent; m.Phase == Copying && len(tables) > 0 && bound < 100 {
		w := Wait{
			For: "pace", Detail: fmt.Sprintf("works %d %% of the time, so that requests do not feel it", bound),
			Todo: "nothing, or start moves with --unpaced when nobody is there",
		}
		switch told := m.Options.PacePercent; {
		case all < 100 && bound >= all:
			w.Detail, w.Todo = fmt.Sprintf("works %d %% of the time, as all moves were told to", bound), "nothing, or let all work more: smartseller move pace 100"
		case told > 0 && bound >= told:
			w.Detail, w.Todo = fmt.Sprintf("works %d %% of the time, as it was told to", bound), "nothing, or let it work more: smartseller move pace 100 "+m.ID
		}
		out = append(out, w)
	}
	return append(out, explainProgress(m, tables, now)...)
}

func explainProgress(m *Move, tables []Checkpoint, now int64) []Wait {
	switch {
	case m.Stats.Doing != "":
		return []Wait{{For: "progress", Detail: m.Stats.Doing}}
	case m.Phase == Copying:
		for _, c := range tables {
			if !c.Done {
				return []Wait{{For: "progress", Detail: fmt.Sprintf("copies %s: %d of %d rows", c.Table, c.Copied, c.Total)}}
			}
		}
	case m.Phase == CatchingUp:
		return []Wait{{For: "progress", Detail: "brings over what has changed, until little is left"}}
	case m.Phase == RollingBack:
		return []Wait{{For: "progress", Detail: fmt.Sprintf("cuts back; %d tries were begun, after %d it gives up", m.Stats.CutoverTries, cutTries)}}
	case m.Phase == Verifying && m.Stats.VerifiedAt == 0:
		return []Wait{{For: "progress", Detail: "compares every row of both places and asks the gates"}}
	case m.Phase == Verifying:
		return explainWindow(m, now)
	case m.Phase == CuttingOver:
		if waits := explainWindow(m, now); len(waits) > 0 {
			return waits
		}
		cuts := "cuts over"
		if m.Options.Mode == Rehearsal {
			cuts = "tries what a cutover would do, up to the commit"
		}
		return []Wait{{For: "progress", Detail: fmt.Sprintf("%s; %d tries were begun, after %d it gives up", cuts, m.Stats.CutoverTries, cutTries)}}
	case m.Phase == Watching && m.Options.Mode == Drill:
		return append(explainAudit(m, now), m.explainDrill(now))
	case m.Phase == Watching:
		until := m.Stats.CommittedAt + m.Options.window().Microseconds()
		closes := "closes in " + span(until-now)
		todo := fmt.Sprintf("nothing, or end it now: smartseller move finalize %s (or rollback)", m.ID)
		switch {
		case m.placesDiffer():
			closes, todo = "stays open until an operator decides, since the places differ", ""
		case m.Stats.Suspected:
			closes = "stays open until a comparison has ended, since one has found something"
		case m.undecided():
			closes = "stays open until an operator decides, since a rollback was wanted and did not come about"
		case until < now:
			closes = "is over, and closes as soon as the new place is found to be sound"
		}
		return append(explainAudit(m, now), Wait{
			For: "window", Detail: "the storefront lives at the new place; the rollback window " + closes,
			Todo: todo,
		})
	}
	return nil
}

// explainPlaces asks both places: can they be reached, who holds a transaction open
// that the move has to wait for, and how much is left to bring over.
func (s *Service) explainPlaces(ctx context.Context, m *Move) []Wait {
	var out []Wait
	open := map[backends.Place]backends.Store{}
	for _, p := range []backends.Place{m.Source, m.Target} {
		if p == m.Target && m.Stats.PhaseStartedAt[Copying] == 0 {
			continue // not there yet
		}
		asking, cancel := context.WithTimeout(ctx, explainPatience)
		defer cancel()
		store, release, err := s.stores.Acquire(asking, p)
		if err == nil {
			defer release()
			_, err = store.Fence(asking)
		}
		if p == m.Source && m.Phase == Finalizing && errors.Is(err, backends.ErrNoPlace) {
			continue // erased already
		}
		if err != nil {
			out = append(out, explainAway(p.Backend, err))
			continue
		}
		open[p] = store
	}
	from := open[m.Source]
	if m.Phase == Watching || m.Phase == RollingBack || m.Phase == Finalizing { // the storefront lives there
		from = open[m.Target]
	}
	if from == nil {
		return out
	}
	asking, cancel := context.WithTimeout(ctx, explainPatience)
	defer cancel()
	return append(out, explainSource(asking, m.Phase, from)...)
}

// explainAway says why a backend does not answer here: it is away, or lives on another host,
// where the move goes on though this server sees nothing of it.
func explainAway(backend string, err error) Wait {
	if far := new(backends.Elsewhere); errors.As(err, &far) {
		return Wait{For: "backend", Detail: fmt.Sprintf("the files of %s live on host %s, this is %s: what is there cannot be seen here", backend, far.Host, far.Here), Todo: "ask a server on host " + far.Host}
	}
	return Wait{For: "backend", Detail: fmt.Sprintf("%s does not answer here: %s", backend, err), Todo: "start it, or correct its address; the move goes on by itself"}
}

func explainSource(ctx context.Context, p Phase, from backends.Store) []Wait {
	var out []Wait
	ends := p == Cancelling || p == Finalizing
	if ends || p == Preparing || p == CuttingOver || p == RollingBack {
		holders, err := from.Holders(ctx)
		if err != nil {
			return append(out, Wait{For: "backend", Detail: "open transactions cannot be listed: " + err.Error()})
		}
		for _, h := range holders {
			h.Session = "on " + from.Place().Backend + ": " + h.Session
			out = append(out, explainHolder(h)...)
		}
	}
	if !ends && p != Preparing {
		if n, err := from.Backlog(ctx); err == nil && n > 0 {
			out = append(out, Wait{For: "backlog", Detail: fmt.Sprintf("%d changes wait to be brought over", n)})
		}
	}
	return out
}

// explainHolder names the transaction, and the lock or key that it waits for itself:
// then it is another one that has to end first.
func explainHolder(h backends.Holder) []Wait {
	const todo = "no writer is ended by force: if it is old or idle, end the program that holds it"
	if h.Waits() == "" {
		return []Wait{{For: "transaction", Detail: h.Session, Todo: todo}}
	}
	what := "lock"
	if h.Row != nil {
		what = "key"
	}
	return []Wait{{For: "transaction", Detail: h.Session}, {For: what, Detail: "the same process " + h.Waits(), Todo: todo}}
}

// noteVerified persists that verification is done and when waiting began.
func (x *run) noteVerified(ctx context.Context) error {
	x.giveSlotBack()
	x.works()
	return x.save(ctx, "verified", x.m.Stats.Gates, func(tx control.Tx, m *Move) error {
		s := &m.Stats
		s.VerifiedAt, s.Trouble = tx.Now(), nil
		if s.ReadyMicros == 0 && s.WorkedMicros[Preparing] > 0 { // not of a program that noted less
			for _, p := range []Phase{Preparing, Copying, CatchingUp, Verifying} {
				s.ReadyMicros += s.Worked(p, m.Phase, tx.Now())
			}
		}
		return nil
	})
}

func span(micros int64) string {
	return (time.Duration(max(0, micros)) * time.Microsecond).Round(time.Second).String()
}
