package migration

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// stopwatch notes when a move first was at its named points.
type stopwatch struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (s *stopwatch) note(point string) (first time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[string]time.Time{}
	}
	if s.at[point].IsZero() {
		s.at[point] = time.Now()
	}
	return s.at[point]
}

// between is the time from one point to another one, microseconds.
func (s *stopwatch) between(from, to string) int64 {
	return s.note(to).Sub(s.note(from)).Microseconds()
}

// requireStalled allows for the milliseconds that the control database's clock counts.
func (i *instance) requireStalled(t *testing.T, m *Move, back bool, most int64) {
	t.Helper()
	micros := m.Stats.StallMicros
	if back {
		micros = m.Stats.BackStallMicros
	}
	require.Positive(t, micros)
	require.LessOrEqual(t, micros, most+2000, "writes waited until the place was open, and no longer")
	if m.Receipt != "" {
		var signed struct{ Receipt Receipt }
		require.NoError(t, json.Unmarshal([]byte(m.Receipt), &signed))
		require.Equal(t, max(m.Stats.StallMicros, m.Stats.BackStallMicros), signed.Receipt.StallMicros)
	}
}

// stubborn is for how long a step behind a commit fails.
const stubborn = 2 * time.Second

// TestStallIsCountedOnce: what has to be repeated behind the opening of a place keeps no
// write waiting.
func TestStallIsCountedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var there, back stopwatch
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, beforeChange: func(by backends.Transition) error {
			if s.Place().Backend == "one" && by.To == backends.Standby && by.Epoch > 1 && time.Since(there.note("aside")) < stubborn {
				return backends.ErrUnreachable // the old place
			}
			return nil
		}}
	}
	var turned atomic.Bool
	i := w.instance(t, func(_ context.Context, point string) error {
		now := &there
		if point == string(RollingBack) {
			turned.Store(true)
		}
		if turned.Load() {
			now = &back
		}
		if at := now.note(point); point == "erasing" && time.Since(at) < stubborn {
			return backends.ErrUnreachable
		}
		return nil
	})
	id := i.storefront(t, 50)
	m := start(t, i, id, Options{})
	m = i.waitFor(t, m.ID, Watching)
	i.requireStalled(t, m, false, there.between(string(CuttingOver), "K15"))
	ask(t, i, m.ID, WantRollback)
	m = i.waitFor(t, m.ID, RolledBack)
	i.requireStalled(t, m, true, back.between("K17", "K15"))
}

// TestStallOfDeadOwners: whoever opens a place counts for how long writes waited for it,
// and whoever finds it open counts nothing of the time until then.
func TestStallOfDeadOwners(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"K13", "K15", "erasing"} {
		t.Run(last, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var at stopwatch
			died := make(chan struct{})
			var back, dead atomic.Bool
			mortal := w.instance(t, func(_ context.Context, point string) error {
				if point == "K17" {
					back.Store(true)
				}
				switch {
				case dead.Load():
					return errCrash
				case !back.Load():
					return nil
				}
				if at.note(point); point == last {
					dead.Store(true)
					close(died)
					return errCrash
				}
				return nil
			})
			id := mortal.storefront(t, 50)
			m := start(t, mortal, id, Options{})
			mortal.waitFor(t, m.ID, Watching)
			ask(t, mortal, m.ID, WantRollback)
			happens(t, died, last)
			mortal.runner.Stop()
			t.Cleanup(mortal.runner.Start) // so that stopping twice is no panic

			heir := w.instance(t, func(_ context.Context, point string) error {
				if first := at.note(point); point == "erasing" && time.Since(first) < stubborn {
					return backends.ErrUnreachable
				}
				return nil
			})
			defer heir.stop()
			m = heir.waitFor(t, m.ID, RolledBack)
			heir.requireStalled(t, m, true, at.between("K17", "K15"))
		})
	}
}
