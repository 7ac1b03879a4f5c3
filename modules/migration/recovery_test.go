package migration

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/pgserver/badwire"
	"smartseller/platform/pgserver/pgtest"
)

// dyingAt is an instance whose mover drops everything at a point; the channel is
// closed when it has.
func (w *world) dyingAt(t *testing.T, point string) (*instance, <-chan struct{}) {
	died := make(chan struct{})
	var dead atomic.Bool
	i := w.instance(t, func(_ context.Context, p string) error {
		if p == point && dead.CompareAndSwap(false, true) {
			close(died)
		}
		if dead.Load() {
			return errCrash
		}
		return nil
	})
	return i, died
}

// TestStorefrontOpensWithoutTheOtherPlace: the coordinator dies at the cutover and the
// place that the storefront does not need any more, or not yet, is out of reach.
func TestStorefrontOpensWithoutTheOtherPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ point, from, to, at string }{
		"sealed, the target is away":    {"K10", "one", "own", "one"},
		"closed, the target is away":    {"K12", "one", "own", "one"},
		"committed, the source is away": {"K14", "own", "one", "one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).ownDatabase(t)
			wire := badwire.New(t, w.own.admin)
			w.reach = func(cfg backends.Config) backends.Config {
				cfg.DSN, cfg.AdminDSN = wire.DSN(cfg.DSN), wire.DSN(cfg.AdminDSN)
				return cfg
			}
			first, died := w.dyingAt(t, c.point)
			s := newScene(t, first, c.from)
			m := startTo(t, first, s.storefront, c.to, Options{})
			happens(t, died, "a mover that dies")
			wire.Down()
			second := w.instance(t, nil)
			s.put(second, hotCell)
			at, err := second.directory.Placement(context.Background(), s.storefront)
			require.NoError(t, err)
			require.Equal(t, c.at, at.Place.Backend)
			wire.Up()
			s.judge(second, m.ID)
		})
	}
}

// TestTransitionWithoutAnAnswer: the control database saves the decision to roll back,
// and the answer is lost.
func TestTransitionWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	direct := pgtest.Database(t)
	wire := badwire.New(t, direct)
	w.dsn = wire.DSN(direct)
	i := w.instance(t, nil)
	g := newGate(t, direct, "moves", "NEW.phase = '"+string(RollingBack)+"'")
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	g.shut()
	ask(t, i, m.ID, WantRollback)
	g.someoneWaits()
	wire.Cut()
	g.open()
	i.waitFor(t, m.ID, RolledBack)
	require.NoError(t, s.verdict(i.router))
}

// TestDeadCutoverNeedsNoSlot: an instance that already copies as many storefronts as it
// may still ends the cutover of one that died.
func TestDeadCutoverNeedsNoSlot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var full atomic.Bool // from then on the first takes no move that begins
	died := make(chan struct{})
	var dead atomic.Bool
	first := w.instance(t, func(_ context.Context, point string) error {
		switch {
		case dead.Load(), full.Load() && point == string(Preparing):
			return errCrash
		case point == "K12":
			dead.Store(true)
			close(died)
			return errCrash
		}
		return nil
	})
	first.runner.Stop()
	first.runner.lease = 5 * time.Second // a busy machine is no reason to lose it
	first.runner.Start()
	s := newScene(t, first, "one")
	m := startTo(t, first, s.storefront, "two", Options{ManualCutover: true})
	s.verified(first, m.ID)
	full.Store(true)
	copying, goOn := make(chan struct{}, AtOnce), make(chan struct{})
	second := w.instance(t, func(ctx context.Context, point string) error {
		if point == "K1" {
			copying <- struct{}{}
			<-goOn
		}
		return nil
	})
	others := make([]*Move, AtOnce)
	for n := range others {
		others[n] = start(t, second, second.storefront(t, 1), Options{})
	}
	for range AtOnce {
		<-copying
	}
	ask(t, first, m.ID, WantCutover)
	happens(t, died, "a death at K12")
	s.put(second, hotCell)
	second.waitFor(t, m.ID, Watching)
	close(goOn)
	for _, other := range others {
		second.waitFor(t, other.ID, Watching)
	}
}

// TestCancelAskedAtTheLastMoment is not forgotten when the cutover begins.
func TestCancelAskedAtTheLastMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var i *instance
	var m *Move
	planned := make(chan struct{})
	i = w.instance(t, func(_ context.Context, point string) error {
		if point == "K7" {
			<-planned
			_, err := i.service.Ask(context.Background(), m.ID, WantCancel)
			return err
		}
		return nil
	})
	s := newScene(t, i, "one")
	m = startTo(t, i, s.storefront, "two", Options{ManualCutover: true})
	close(planned)
	ask(t, i, m.ID, WantCutover)
	i.waitFor(t, m.ID, Cancelled)
	require.NoError(t, s.verdict(i.router))
}

// TestSourceIsGone: the storefront's file is not there, for a while. The move ends; when
// the file is back, it captures no changes any more, and another move can begin, whether that was
// seen to before or not.
func TestSourceIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sweep = time.Hour // the test sweeps
	i := w.instance(t, nil)
	i.runner.tolerance = 0
	for _, swept := range []bool{false, true} {
		sourceIsGone(t, w, i, swept)
	}
}

func sourceIsGone(t *testing.T, w *world, i *instance, swept bool) {
	ctx := context.Background()
	s := newScene(t, i, "one")
	m := s.ready(i, "two")
	file := filepath.Join(w.folder, "one", string(s.storefront), "1.db")
	away := file + ".away"
	require.NoError(t, os.Rename(file, away))
	failed := i.waitFor(t, m.ID, Failed)
	require.Contains(t, failed.Stats.Gates["clean-up of the source"], "given up")
	require.NoError(t, i.runner.freeSources(ctx))
	require.True(t, get(t, i, m.ID).SourceKept)
	require.NoError(t, os.Rename(away, file))
	s.put(i, hotCell)
	if swept {
		require.NoError(t, i.runner.freeSources(ctx))
		require.False(t, get(t, i, m.ID).SourceKept)
		require.Equal(t, 1, countEvents(t, i, m.ID, "source_freed"))
		f, err := i.store(t, m.Source).Fence(ctx)
		require.NoError(t, err)
		require.Equal(t, backends.Fence{Epoch: 1, State: backends.Active, Gen: get(t, i, m.ID).Gen}, f)
	}
	next := startTo(t, i, s.storefront, "two", Options{})
	s.judge(i, next.ID)
	require.NoError(t, i.runner.freeSources(ctx))
	require.False(t, get(t, i, m.ID).SourceKept, "the storefront has left the place")
}

// TestRollbackThatCannotBeAborted at once is aborted before anything else happens.
func TestRollbackThatCannotBeAborted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var back, counted, refused atomic.Bool
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{
			Store: s,
			afterCount: func(n int64) int64 {
				if back.Load() && counted.CompareAndSwap(false, true) {
					n++
				}
				return n
			},
			beforeChange: func(to backends.Transition) error {
				if back.Load() && counted.Load() && to.To == backends.Active && refused.CompareAndSwap(false, true) {
					return errors.New("no answer")
				}
				return nil
			},
		}
	}
	i := w.instance(t, func(_ context.Context, point string) error {
		if point == "K17" {
			back.Store(true)
		}
		return nil
	})
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
	require.True(t, refused.Load())
	require.NoError(t, s.verdict(i.router))
}

// TestAnAbortIsTakenOverAtOnce: the coordinator dies when a cutover was given up and the
// storefront is sealed still. Its lease is as short as before.
func TestAnAbortIsTakenOverAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, died := w.dyingAt(t, "aborted")
	s := newScene(t, first, "one")
	m := startTo(t, first, s.storefront, "two", Options{Mode: Rehearsal})
	happens(t, died, "a mover that dies")
	left := time.Duration(get(t, first, m.ID).LeaseUntil-time.Now().UnixMicro()) * time.Microsecond
	require.LessOrEqual(t, left, leaseCutting, "of a second, which it is otherwise")
	second := w.instance(t, nil)
	s.put(second, hotCell)
	require.Equal(t, NotCut, second.waitFor(t, m.ID, Rehearsed).Cut, "it was noted that the storefront is open")
	require.NoError(t, s.verdict(second.router))
}
