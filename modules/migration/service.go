package migration

import (
	"cmp"
	"context"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// Service is what operators ask of moves. Safe for concurrent use; any instance
// answers for every move.
type Service struct {
	db        *control.DB
	directory *backends.Directory
	stores    *backends.Stores
	keys      *crypto.Keyring
	wake      func()    // tells this instance's runner to look at once
	plans     Explainer // nil: there are none
}

// NewService makes the service; the runner gets its wake-ups.
func NewService(db *control.DB, directory *backends.Directory, stores *backends.Stores, runner *Runner) *Service {
	return &Service{db: db, directory: directory, stores: stores, keys: runner.keys, wake: runner.Wake}
}

// Request asks for a move.
type Request struct {
	Storefront backends.StorefrontID
	Target     string // a backend's name
	Options    Options
	By         string // the admin who asks
	Reason     string
	// Also is done in the transaction that records the move; its error undoes that. nil: nothing.
	Also func(tx control.Tx, move string) error
}

// Start plans a move; a runner of some instance takes it up at once. ErrMoveOpen
// and ErrAlreadyThere say that there is nothing to start; an unknown backend or
// storefront is not found.
func (s *Service) Start(ctx context.Context, r Request) (*Move, error) {
	if err := s.completeOptions(ctx, &r); err != nil {
		return nil, err
	}
	if _, err := s.directory.Backend(ctx, r.Target); err != nil {
		return nil, err
	}
	var m *Move
	err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		var err error
		if m, err = s.propose(tx, r); err != nil {
			return err
		}
		if err := insertMove(tx, m); err != nil {
			return err
		}
		if r.Also != nil {
			if err := r.Also(tx, m.ID); err != nil {
				return err
			}
		}
		return addEvent(tx, m.ID, "phase", map[string]any{"phase": Planned})
	})
	if err != nil {
		return nil, err
	}
	s.wake()
	return s.Get(ctx, m.ID)
}

// propose makes the move that Start records. What refuses that refuses a dry run, too.
func (s *Service) propose(tx control.Tx, r Request) (*Move, error) {
	at, err := s.directory.HoldPlacement(tx, r.Storefront)
	if err != nil {
		return nil, err
	}
	m, err := plan(r, at)
	if err != nil {
		return nil, err
	}
	if err := s.together(tx, m.Source.Backend, r.Target); err != nil {
		return nil, err
	}
	if m.Target.Epoch, err = unusedEpoch(tx, m); err != nil {
		return nil, err
	}
	if err := s.directory.HoldBackend(tx, r.Target); err != nil {
		return nil, err
	}
	return m, noneOpen(tx, r.Storefront)
}

// plan makes the move of a storefront that is at a place now.
func plan(r Request, at backends.Placement) (*Move, error) {
	if at.Place.Backend == r.Target {
		return nil, ErrAlreadyThere
	}
	return &Move{
		ID: ids.New(), Storefront: r.Storefront, Source: at.Place, SourceEpoch: at.Epoch, Phase: Planned,
		Target:  backends.Place{Backend: r.Target, Storefront: r.Storefront, Epoch: at.Epoch + 1},
		Options: r.Options, RequestedBy: r.By, Reason: r.Reason,
	}, nil
}

// unusedEpoch is what the target's place is named by. No two moves of a storefront share
// one, be they cancelled, failed or rehearsed: an owner that was stopped while it erased
// what its move had made may go on at any time, and must not meet another move's place.
// The fence's epoch is another thing: see Move.TargetEpoch.
func unusedEpoch(tx control.Tx, m *Move) (int64, error) {
	var used int64
	err := tx.Get(&used, `SELECT COALESCE(max(target_made_at_epoch), 0) FROM moves WHERE storefront_id = $1`, string(m.Storefront))
	return max(used+1, m.Target.Epoch), err
}

// Get reads one move.
func (s *Service) Get(ctx context.Context, id string) (m *Move, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		m, err = readMove(tx, id, false)
		return err
	})
	return m, err
}

// List is ListBy of one storefront, or ("") of all, and of moves alone.
func (s *Service) List(ctx context.Context, storefront backends.StorefrontID, cursor string, limit int) ([]*Move, error) {
	listed, err := s.ListBy(ctx, Filter{Storefront: storefront}, cursor, limit)
	out := make([]*Move, len(listed))
	for i, l := range listed {
		out[i] = l.Move
	}
	return out, err
}

// Filter says which moves are listed; the zero value: all.
type Filter struct {
	Storefront backends.StorefrontID
	Open       bool // only those that have not ended
}

// Listed is a move in a list.
type Listed struct {
	*Move
	Slug string // the storefront's
}

// ListBy returns moves, newest first, after the one with the id cursor ("" for the first page).
func (s *Service) ListBy(ctx context.Context, f Filter, cursor string, limit int) ([]Listed, error) {
	var rows []listedRow
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		rows, err = listMoves(tx, f, cmp.Or(cursor, "~"), int64(limit)) // "~" is behind every id
		return err
	})
	out := make([]Listed, len(rows))
	for i := range rows {
		m, bad := rows[i].move()
		if bad != nil {
			return nil, bad
		}
		out[i] = Listed{Move: m, Slug: rows[i].Slug}
	}
	return out, err
}

// Checkpoints reads how far each table's copy is.
func (s *Service) Checkpoints(ctx context.Context, id string) (out []Checkpoint, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = readCheckpoints(tx, id)
		return err
	})
	return out, err
}

// Events reads up to limit events after seq.
func (s *Service) Events(ctx context.Context, id string, after int64, limit int) (out []Event, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		return tx.Select(&out, `SELECT seq, at, kind, data FROM move_events WHERE move_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, id, after, int64(limit))
	})
	return out, err
}

// allowed says in which phases an intent makes sense.
var allowed = map[Intent][]Phase{
	WantPause:    {Planned, Preparing, Copying, CatchingUp, Verifying, CuttingOver},
	WantResume:   {Paused},
	WantCancel:   {Planned, Preparing, Copying, CatchingUp, Verifying, CuttingOver, Paused},
	WantCutover:  {Planned, Preparing, Copying, CatchingUp, Verifying},
	WantRollback: {Watching},
	WantFinalize: {Watching},
	WantVerify:   {Watching},
}

// Ask records what an operator wants; the move's runner acts on it within a
// second. A phase that does not allow it is a conflict that names the phase.
func (s *Service) Ask(ctx context.Context, id string, want Intent) (*Move, error) {
	return s.AskIf(ctx, id, want, func(control.Tx) error { return nil })
}

// AskIf is Ask with a condition, which is checked in the same transaction.
func (s *Service) AskIf(ctx context.Context, id string, want Intent, condition func(tx control.Tx) error) (m *Move, err error) {
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if err := condition(tx); err != nil {
			return err
		}
		if m, err = readMove(tx, id, true); err != nil {
			return err
		}
		ok := false
		for _, p := range allowed[want] {
			ok = ok || p == m.Phase
		}
		if !ok || want == WantCancel && m.Cut == Committed {
			return fault.New(fault.Conflict, "move_phase", "The move is %s; %s is not possible now.", m.Phase, want)
		}
		if m.Intent == want {
			if want == WantCutover { // in spite of what has come since it was asked before
				return addEvent(tx, id, "asked", map[string]any{"for": want})
			}
			return nil
		}
		if err := m.awaken(want, tx.Now()); err != nil {
			return err
		}
		if err := m.ask(want, tx.Now()); err != nil {
			return err
		}
		if err := writeMove(tx, m); err != nil {
			return err
		}
		return addEvent(tx, id, "asked", map[string]any{"for": want})
	})
	if err == nil {
		s.wake()
	}
	return m, err
}

// answerWithin is how long what was asked may take to happen; after that whoever asked
// has to see that it does not, and something else may be asked instead.
const answerWithin = 3 * time.Second

// ask puts what an operator wants in the place of what was asked before, unless that
// outlives it: a cancel is not taken back, the word to cut over outlasts a pause, and of two
// who want contrary ends at the same time one is told so.
func (m *Move) ask(want Intent, now int64) error {
	ends := func(i Intent) bool { return i == WantRollback || i == WantFinalize }
	contrary := ends(want) && ends(m.Intent) && now-m.UpdatedAt < answerWithin.Microseconds()
	switch {
	case m.Intent == WantCancel, m.Intent == WantYield, contrary, want == WantVerify && m.Intent != NoIntent:
		return fault.New(fault.Conflict, "move_asked", "The move was asked to %s and has not done it yet; %s comes too late.", m.Intent, want)
	case m.Intent == WantCutover && want == WantPause:
		m.Intent, m.Kept = WantPause, WantCutover
	case m.Intent == WantPause && want == WantCutover:
		m.Kept = WantCutover
	default:
		m.Intent = want
	}
	return nil
}

// Pace bounds, from now on, the share of the time that a move may work, in percent.
// A move under way follows within a second.
func (s *Service) Pace(ctx context.Context, id string, percent int64) (m *Move, err error) {
	err = s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if m, err = readMove(tx, id, true); err != nil {
			return err
		}
		if m.EndedAt != nil {
			return fault.New(fault.Conflict, "move_phase", "The move is %s; it has no pace any more.", m.Phase)
		}
		m.Options.PacePercent = percent
		if err := writeOptions(tx, m); err != nil {
			return err
		}
		return addEvent(tx, id, "paced", map[string]any{"percent": percent})
	})
	return m, err
}

// PaceAll bounds, from now on, the share of the time that each move may work.
func (s *Service) PaceAll(ctx context.Context, percent int64) error {
	return s.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return setPaceOfAll(tx, percent) })
}

// PaceOfAll reads what PaceAll was told; 100 when it never was.
func (s *Service) PaceOfAll(ctx context.Context) (percent int64, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		percent, err = paceOfAll(tx)
		return err
	})
	return percent, err
}
