package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"smartseller/backends"
	"smartseller/platform/database"
	"smartseller/platform/failpoint"
)

const fenceText = `SELECT epoch, state, capture, move_id, gen FROM fence WHERE storefront_id = $1 AND id = 'fence'`

// fence reads the fence row; lock is what Dialect.LockFence says, or "".
func (m *mover) fence(lock string) (backends.Fence, error) {
	var f backends.Fence
	var capture int64
	found, err := m.one(fenceText+lock, nil, &f.Epoch, &f.State, &capture, &f.Move, &f.Gen)
	if err != nil || !found {
		return backends.Fence{State: backends.Absent}, err
	}
	f.Capture = capture != 0
	return f, nil
}

func (m *mover) setFence(f backends.Fence) error {
	n, err := m.exec(`UPDATE fence SET epoch = $2, state = $3, capture = $4, move_id = $5, gen = $6
		WHERE storefront_id = $1 AND id = 'fence'`,
		f.Epoch, string(f.State), database.Truth(f.Capture), f.Move, f.Gen)
	if err == nil && n != 1 {
		return fmt.Errorf("the fence's row was not there to be changed (%d rows)", n)
	}
	return err
}

// addFence writes the first fence. That another process wrote one at the same
// moment shows as a taken key: the next try finds it.
func (m *mover) addFence(f backends.Fence) error {
	_, err := m.exec(`INSERT INTO fence (storefront_id, id, epoch, state, capture, move_id, gen) VALUES ($1, 'fence', $2, $3, $4, $5, $6)`,
		f.Epoch, string(f.State), database.Truth(f.Capture), f.Move, f.Gen)
	if err = m.store.dialect.Classify(err); errors.Is(err, backends.ErrUnique) {
		return Again(err)
	}
	return err
}

// Fence implements backends.Store.
func (s *Store) Fence(ctx context.Context) (f backends.Fence, err error) {
	err = s.snapshot(ctx, "Fence", func(m *mover) error {
		f, err = m.fence("")
		return err
	})
	return f, err
}

// changeFence runs fn on the fence as it is, locked for a change.
func (s *Store) changeFence(ctx context.Context, verb string, wait time.Duration, fn func(m *mover, f backends.Fence) error) error {
	return s.change(ctx, verb, wait, func(m *mover) error {
		f, err := m.fence(s.dialect.LockFence(true))
		if err != nil {
			return err
		}
		return fn(m, f)
	})
}

// Found implements backends.Store.
func (s *Store) Found(ctx context.Context, epoch int64) error {
	want := backends.Fence{Epoch: epoch, State: backends.Active}
	return s.changeFence(ctx, "Found", 0, func(m *mover, f backends.Fence) error {
		switch {
		case f == want:
			return nil
		case f.State != backends.Absent:
			return fmt.Errorf("%w: its fence is %s at epoch %d", backends.ErrNotEmpty, f.State, f.Epoch)
		}
		if err := m.checkEmpty(); err != nil {
			return err
		}
		return m.addFence(want)
	})
}

// Install implements backends.Store.
func (s *Store) Install(ctx context.Context, token backends.Token, epoch int64) error {
	want := backends.Fence{Epoch: epoch, State: backends.Loading, Move: token.Move, Gen: token.Gen}
	return s.changeFence(ctx, "Install", 0, func(m *mover, f backends.Fence) error {
		switch {
		case f == want:
			return nil
		case f.State == backends.Absent:
			if err := m.checkEmpty(); err != nil {
				return err
			}
			return m.addFence(want)
		case f.Move != token.Move || token.Move == "":
			return fmt.Errorf("%w: its fence is %s at epoch %d", backends.ErrNotEmpty, f.State, f.Epoch)
		case f.Gen > token.Gen:
			return checkToken(f, token)
		case f.State != backends.Loading:
			return fmt.Errorf("%w: install on a fence that is %s", backends.ErrTransition, f.State)
		}
		want.Capture = f.Capture
		return m.setFence(want)
	})
}

// checkEmpty proves that no table has a row of the storefront.
func (m *mover) checkEmpty() error {
	for _, t := range m.store.catalog.Tables() {
		var one int64
		found, err := m.one(`SELECT 1 FROM `+t.Name+` WHERE storefront_id = $1 LIMIT 1`, nil, &one)
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("%w: table %s", backends.ErrNotEmpty, t.Name)
		}
	}
	return nil
}

// Enlist implements backends.Store.
func (s *Store) Enlist(ctx context.Context, token backends.Token) error {
	return s.changeFence(ctx, "Enlist", 0, func(m *mover, f backends.Fence) error {
		switch {
		case f.State != backends.Active:
			return fmt.Errorf("%w: enlist on a fence that is %s", backends.ErrTransition, f.State)
		case f.Move != "" && f.Move != token.Move:
			return fmt.Errorf("%w: enlist on a fence that move %s holds", backends.ErrTransition, f.Move)
		case f.Gen > token.Gen: // also a free one: the move has been given up by another instance meanwhile
			return checkToken(f, token)
		}
		want := f
		want.Capture, want.Move, want.Gen = true, token.Move, token.Gen
		if f == want {
			return nil
		}
		return m.setFence(want)
	})
}

// Takeover implements backends.Store. A fence that no move holds learns the number
// as well: an owner that is still on its way to enlist it comes too late.
func (s *Store) Takeover(ctx context.Context, token backends.Token) error {
	err := s.takeover(ctx, token)
	if !errors.Is(err, backends.ErrContended) {
		return err
	}
	if ended, ending := s.dialect.EndStalled(ctx); ending != nil || !ended {
		return err
	}
	return s.takeover(ctx, token)
}

func (s *Store) takeover(ctx context.Context, token backends.Token) error {
	return s.changeFence(ctx, "Takeover", 0, func(m *mover, f backends.Fence) error {
		switch {
		case f.State == backends.Absent:
			return nil
		case f.Move != "" && f.Move != token.Move || f.Gen > token.Gen:
			return checkToken(f, token)
		case f.Gen == token.Gen:
			return nil
		}
		f.Gen = token.Gen
		return m.setFence(f)
	})
}

// Change implements backends.Store.
func (s *Store) Change(ctx context.Context, token backends.Token, t backends.Transition) error {
	return s.changeFence(ctx, "Change", t.Exclusive, func(m *mover, f backends.Fence) error {
		want := f
		want.State, want.Capture = t.To, t.Capture
		if t.Epoch != 0 {
			want.Epoch = t.Epoch
		}
		if t.Release {
			want.Move = ""
		}
		if f == want && t.Release {
			return nil // an earlier try did it, and gave up the token that would be asked for below
		}
		if err := checkToken(f, token); err != nil {
			return err
		}
		reached := f.State == want.State && f.Epoch == want.Epoch && f.Capture == want.Capture
		if f.State == backends.Loading && t.To != backends.Loading {
			if err := m.checkIndexes(); err != nil {
				return err
			}
		}
		if !reached && !slices.Contains(t.From, f.State) {
			return fmt.Errorf("%w: %s at epoch %d, asked for %s from %v", backends.ErrTransition, f.State, f.Epoch, t.To, t.From)
		}
		if f == want {
			return nil
		}
		if err := m.setFence(want); err != nil {
			return err
		}
		if t.Exclusive > 0 {
			failpoint.Reach("K9") // the lock is held, the seal not committed
		}
		return nil
	})
}

// Barrier implements backends.Store: whoever gets the exclusive lock has
// waited for every writer that was under way.
func (s *Store) Barrier(ctx context.Context, token backends.Token, wait time.Duration) error {
	return s.guarded(ctx, "Barrier", token, max(wait, time.Millisecond), func(*mover, backends.Fence) error { return nil })
}

// Holders implements backends.Store.
func (s *Store) Holders(ctx context.Context) ([]backends.Holder, error) {
	return s.dialect.Holders(ctx, s.place.Storefront)
}
