package seller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
	"smartseller/platform/ids"
)

// Service answers sellers. Every method takes the storefront whose seller asks. Safe for
// concurrent use.
type Service struct {
	db    *control.DB
	moves *migration.Service
	plans *planning.Service
}

// NewService makes the service.
func NewService(db *control.DB, moves *migration.Service, plans *planning.Service) *Service {
	return &Service{db: db, moves: moves, plans: plans}
}

// behindPlanned is the cursor of a page that begins with the newest move: it is behind every id.
const behindPlanned = "~"

// Moves are up to limit moves of a storefront, newest first, after the id cursor; the
// first page begins with what a plan has in store, which is one move at most.
func (s *Service) Moves(ctx context.Context, storefront backends.StorefrontID, cursor string, limit int) (out []Move, next string, err error) {
	kinds, planned, now, err := s.around(ctx, storefront)
	if err != nil {
		return nil, "", err
	}
	if cursor == "" {
		for _, p := range planned {
			out = append(out, Move{State: Planned, Phase: migration.Planned, From: kinds[p.Source], To: kinds[p.Target], CreatedAt: p.At, Awaits: p.awaits})
		}
		next = behindPlanned
	}
	found, err := s.moves.List(ctx, storefront, cursor, limit-len(out))
	if err != nil {
		return nil, "", err
	}
	for _, m := range found {
		seen, err := s.see(ctx, m, kinds, now)
		if err != nil {
			return nil, "", err
		}
		out, next = append(out, seen), m.ID
	}
	if len(out) < limit {
		next = ""
	}
	return out, next, nil
}

// Move is one move of a storefront; ErrNoMove, also for one of another storefront.
func (s *Service) Move(ctx context.Context, storefront backends.StorefrontID, id string) (Move, error) {
	m, err := s.moves.Get(ctx, id)
	if errors.Is(err, migration.ErrNoMove) || err == nil && m.Storefront != storefront {
		return Move{}, ErrNoMove
	}
	if err != nil {
		return Move{}, err
	}
	kinds, _, now, err := s.around(ctx, storefront)
	if err != nil {
		return Move{}, err
	}
	return s.see(ctx, m, kinds, now)
}

// around reads what a storefront's moves are seen by.
func (s *Service) around(ctx context.Context, storefront backends.StorefrontID) (kinds map[string]backends.Kind, planned []plannedMove, now int64, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		now = tx.Now()
		if kinds, err = backends.ReadKinds(tx); err != nil {
			return err
		}
		planned, err = plannedMoves(tx, storefront)
		return err
	})
	return kinds, planned, now, err
}

func (s *Service) see(ctx context.Context, m *migration.Move, kinds map[string]backends.Kind, now int64) (Move, error) {
	out := Move{
		ID: m.ID, State: states[m.Phase], Phase: m.Phase, From: kinds[m.Source.Backend], To: kinds[m.Target.Backend],
		Trial: m.Options.Mode, CreatedAt: m.CreatedAt,
	}
	if m.Stats.BackAt == 0 { // it has not gone back
		out.MovedAt = m.Stats.CommittedAt
	}
	if m.EndedAt != nil {
		out.EndedAt = *m.EndedAt
		err := out.addReceipt(m)
		return out, err
	}
	tables, err := s.moves.Checkpoints(ctx, m.ID)
	if err != nil {
		return Move{}, err
	}
	for _, t := range tables {
		out.Copied += t.Copied
		out.Total += t.Total
	}
	all := int64(0) // also of tables whose turn has not come
	for _, n := range m.Stats.Rows {
		all += n
	}
	out.Total = max(out.Total, all)
	out.ETA = eta(m, out.Copied, out.Total, now)
	err = s.foresee(ctx, m, &out, now)
	return out, err
}

// foresee says what an open move waits for, and when that comes.
func (s *Service) foresee(ctx context.Context, m *migration.Move, v *Move, now int64) error {
	switch v.BeginsAt = m.BeginsAt(now); {
	case v.BeginsAt > 0:
		v.Awaits = awaitsBegin
		return nil
	case m.Phase == migration.Paused && m.Intent == migration.NoIntent:
		v.Awaits = planning.AwaitsOperator
		return nil
	case m.Options.Mode == migration.Rehearsal: // it is not to change over
		return nil
	}
	return s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		at, awaits, err := s.plans.CutsOver(tx, m)
		if v.Awaits = awaits; !at.IsZero() {
			v.CutsAt = at.UnixMicro()
		}
		return err
	})
}

// eta takes comparing to last as long as copying did, and copying to go on as it went, both
// without pauses; 0: nothing is known yet, it waits for somebody, or it never will be.
func eta(m *migration.Move, copied, total, now int64) int64 {
	worked := func(p migration.Phase) int64 { return m.Stats.Worked(p, m.Phase, now) }
	copying := worked(migration.Copying)
	if copying <= 0 || m.Stats.VerifiedAt > 0 || m.Options.Mode == migration.Rehearsal {
		return 0
	}
	switch m.Phase {
	case migration.Copying:
		if copied <= 0 || total < copied {
			return 0
		}
		whole := int64(float64(copying) * float64(total) / float64(copied))
		return now + 2*whole - copying
	case migration.CatchingUp, migration.Verifying:
		return now + max(0, copying-worked(migration.CatchingUp)-worked(migration.Verifying))
	}
	return 0
}

func (v *Move) addReceipt(m *migration.Move) error {
	if m.Receipt == "" {
		return nil
	}
	var signed struct {
		Receipt migration.Receipt `json:"receipt"`
	}
	if err := json.Unmarshal([]byte(m.Receipt), &signed); err != nil {
		return err
	}
	v.Receipt = &Receipt{Reference: m.ID, Outcome: v.State, StallMicros: signed.Receipt.StallMicros, StartedAt: signed.Receipt.StartedAt, EndedAt: v.EndedAt}
	for _, n := range signed.Receipt.Rows {
		v.Receipt.Rows += n
	}
	return nil
}

// NotNows are what the seller asked for and is not over, by when it begins.
func (s *Service) NotNows(ctx context.Context, storefront backends.StorefrontID) (out []NotNow, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = readNotNows(tx, storefront)
		return err
	})
	return out, err
}

// List is for operators: what the seller of a storefront, or ("") any, asked for and is not over,
// newest first, after the one with the id cursor ("" for the first page).
func (s *Service) List(ctx context.Context, storefront backends.StorefrontID, cursor string, limit int) (out []Listed, err error) {
	err = s.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		out, err = listNotNows(tx, storefront, cmp.Or(cursor, "~"), int64(limit)) // "~" is behind every id
		return err
	})
	return out, err
}

// Ask asks for no cutover between two times, beside what was asked before; ErrTooMany. No From
// means now. What begins later takes back no word to cut over that was given for tonight.
func (s *Service) Ask(ctx context.Context, storefront backends.StorefrontID, n NotNow) (NotNow, error) {
	n.ID = ids.New()
	err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		now := time.UnixMicro(tx.Now())
		if n.From.IsZero() {
			n.From = now
		}
		n.From, n.Until = n.From.UTC().Truncate(time.Microsecond), n.Until.UTC().Truncate(time.Microsecond) // as they are kept
		if err := n.check(now); err != nil {
			return err
		}
		if err := addNotNow(tx, storefront, n); err != nil || n.From.After(now) {
			return err
		}
		return migration.TakeBackCutover(tx, storefront)
	})
	return n, err
}

// Withdraw lets the storefront be moved at one of those times. Repeating it is no error.
func (s *Service) Withdraw(ctx context.Context, storefront backends.StorefrontID, id string) error {
	return s.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return deleteNotNow(tx, storefront, id) })
}
