package migration

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/pgserver/badwire"
	"smartseller/platform/pgserver/pgtest"
)

// traps are the moments at which movers lose data, each arranged and judged by the
// history of what clients saw. TestMutants shows that each of them catches the mover
// that walks into it.
var traps = map[string]func(t *testing.T){
	"a writer from before capture":           trapBarrier,
	"an instance with an old cache":          trapOldCache,
	"an old cache beside a database":         trapOldCacheDatabase,
	"a commit later than its entry":          trapLateCommit,
	"a second change of a captured row":      trapSecondChange,
	"a delete between read and write":        trapDeleteInChunk,
	"a death before keys are applied":        trapDeathBeforeApply,
	"a mover that wakes behind its takeover": trapStaleMover,
	"a read while the new place is open":     trapReadAtSwitch,
	"an abort while the commit is under way": trapCommitUnderWay,
}

func TestTraps(t *testing.T) {
	t.Parallel()
	for name, trap := range traps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trap(t)
		})
	}
}

// scene is a storefront with some rows and clients who act when they are told.
type scene struct {
	*load
	t *testing.T
}

const hotCell, slowCell = "cell-a", "cell-b"

func newScene(t *testing.T, i *instance, backend string) scene {
	s := scene{&load{storefront: i.storefrontOn(t, backend, 50)}, t}
	for _, cell := range []string{hotCell, slowCell} {
		s.put(i, cell)
	}
	return s
}

func (s scene) client(number int, at *instance) *client {
	s.use(at.router)
	return &client{load: s.load, number: number}
}

func (s scene) put(at *instance, cell string) { require.NoError(s.t, s.client(0, at).put(cell)) }

// read is not checked at once: the history decides.
func (s scene) read(at *instance, cell string) { require.NoError(s.t, s.client(1, at).read(cell)) }

// putMeanwhile is another client's put that is under way when the function returns;
// end waits for it.
func (s scene) putMeanwhile(at *instance, cell string) (end func()) {
	c := s.client(2, at)
	done := make(chan error, 1)
	go func() { done <- c.put(cell) }()
	return func() { require.NoError(s.t, <-done) }
}

// judge lets the move cut over, if it has not, and decides.
func (s scene) judge(i *instance, move string) {
	m, err := i.service.Get(context.Background(), move)
	require.NoError(s.t, err)
	if m.Options.ManualCutover && m.Cut != Committed {
		ask(s.t, i, move, WantCutover)
	}
	i.waitFor(s.t, move, Watching)
	require.NoError(s.t, s.verdict(i.router))
}

// ready starts a move that waits, verified and in step, for its cutover.
func (s scene) ready(i *instance, target string) *Move {
	m := startTo(s.t, i, s.storefront, target, Options{ManualCutover: true})
	s.verified(i, m.ID)
	return m
}

func (s scene) verified(i *instance, move string) {
	var m *Move
	var err error
	require.Eventually(s.t, func() bool {
		m, err = i.service.Get(context.Background(), move)
		return err != nil || m.EndedAt != nil || m.Phase == Verifying && m.Stats.VerifiedAt > 0
	}, waitLong, waitStep)
	require.NoError(s.t, err)
	require.Nil(s.t, m.EndedAt, m.Cause)
}

// drained waits until nothing that has been committed at a place is still to be
// brought over.
func (s scene) drained(i *instance, backend string) {
	store := i.store(s.t, backends.Place{Backend: backend, Storefront: s.storefront, Epoch: 1})
	require.Eventually(s.t, func() bool {
		n, err := store.Backlog(context.Background())
		require.NoError(s.t, err)
		return n == 0
	}, waitLong, waitStep)
}

func trapBarrier(t *testing.T) {
	w := newWideWorld(t)
	waits, copied := make(chan struct{}), make(chan struct{})
	busy, chunk := sync.OnceFunc(func() { close(waits) }), sync.OnceFunc(func() { close(copied) })
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, afterBarrier: func(err error) {
			if errors.Is(err, backends.ErrLockBusy) {
				busy()
			}
		}}
	}
	i := w.instance(t, func(_ context.Context, point string) error {
		if point == string(CatchingUp) { // every chunk was copied
			chunk()
		}
		return nil
	})
	s := newScene(t, i, "shared")
	inside, leave, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	enter := sync.OnceFunc(func() { close(inside) })
	c := s.client(2, i)
	o := s.history.Begin(c.number, hotCell)
	value := loadValues.Add(1)
	o.Wrote(text(value))
	go func() {
		done <- c.ask(o, true, func(tx backends.Tx) error {
			err := write(tx, hotCell, value)
			enter()
			<-leave
			return err
		})
	}()
	<-inside
	m := startTo(t, i, s.storefront, "two", Options{ManualCutover: true})
	select {
	case <-waits:
	case <-copied:
	}
	close(leave)
	require.NoError(t, <-done)
	s.judge(i, m.ID)
}

func trapOldCache(t *testing.T)         { oldCache(t, "one", "two") }
func trapOldCacheDatabase(t *testing.T) { oldCache(t, "shared", "one") }

func oldCache(t *testing.T, from, to string) {
	w := newWideWorld(t)
	i, old := w.instance(t, nil), w.instance(t, nil)
	old.runner.Stop() // who moves a storefront knows where it is
	s := newScene(t, i, from)
	s.read(old, hotCell)
	m := startTo(t, i, s.storefront, to, Options{})
	i.waitFor(t, m.ID, Watching)
	s.put(i, hotCell)
	s.read(old, hotCell)
	require.NoError(t, s.client(1, old).drop(hotCell))
	s.read(i, hotCell)
	s.judge(i, m.ID)
}

func trapLateCommit(t *testing.T) {
	w := newWorld(t).ownDatabase(t)
	i := w.instance(t, nil)
	s := newScene(t, i, "own")
	g := newGate(t, w.own.admin, "counters", "NEW.id = '"+slowCell+"'")
	m := s.ready(i, "two")
	g.shut()
	end := s.putMeanwhile(i, slowCell)
	g.someoneWaits() // its entry has its id
	s.put(i, hotCell)
	s.drained(i, "own")
	g.open()
	end()
	s.judge(i, m.ID)
}

func trapSecondChange(t *testing.T) {
	w := newWorld(t).ownDatabase(t)
	var holding atomic.Bool
	arrived, goOn := make(chan struct{}, 1), make(chan struct{})
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, beforeCaptured: func() error {
			if s.Place().Backend == "own" && holding.CompareAndSwap(true, false) {
				arrived <- struct{}{}
				<-goOn
			}
			return nil
		}}
	}
	i := w.instance(t, nil)
	s := newScene(t, i, "own")
	g := newGate(t, w.own.admin, "counters", "NEW.id = '"+slowCell+"'")
	m := s.ready(i, "two")
	holding.Store(true)
	happens(t, arrived, "a mover that asks what was captured")
	s.put(i, slowCell)
	g.shut()
	end := s.putMeanwhile(i, slowCell)
	g.someoneWaits()
	close(goOn)
	s.drained(i, "own")
	g.open()
	end()
	s.judge(i, m.ID)
}

func trapDeleteInChunk(t *testing.T) {
	w := newWorld(t)
	var s scene
	var i *instance
	var once atomic.Bool
	w.wrap = func(store backends.Store) backends.Store {
		return &watched{Store: store, afterPage: func(table *backends.Table) {
			if store.Place().Backend == "one" && table == counters && once.CompareAndSwap(false, true) {
				assert.NoError(t, s.client(0, i).drop(hotCell))
			}
		}}
	}
	i = w.instance(t, nil)
	s = newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	s.judge(i, m.ID)
	require.True(t, once.Load())
}

func trapDeathBeforeApply(t *testing.T) {
	w := newWorld(t)
	var dying, dead atomic.Bool
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, beforeApply: func(backends.Batch) error {
			if dying.CompareAndSwap(true, false) || dead.Load() {
				dead.Store(true)
				return errCrash
			}
			return nil
		}}
	}
	first := w.instance(t, nil)
	s := newScene(t, first, "one")
	m := s.ready(first, "two")
	dying.Store(true)
	s.put(first, hotCell)
	require.Eventually(t, dead.Load, waitLong, waitStep)
	w.wrap = nil
	second := w.instance(t, nil)
	s.judge(second, m.ID)
}

func trapReadAtSwitch(t *testing.T) {
	w := newWorld(t)
	var s scene
	var i, old *instance
	reached := make(chan struct{})
	ended := make(chan struct{})
	once := sync.OnceFunc(func() {
		close(reached)
		<-ended
	})
	i = w.instance(t, func(_ context.Context, point string) error {
		if point == "K15" {
			once()
		}
		return nil
	})
	old = w.instance(t, nil)
	old.runner.Stop() // who moves a storefront knows where it is
	s = newScene(t, i, "one")
	s.read(old, hotCell)
	m := startTo(t, i, s.storefront, "two", Options{})
	happens(t, reached, "a move that has closed the old place")
	s.put(i, hotCell)
	s.read(old, hotCell)
	close(ended)
	s.judge(i, m.ID)
}

// trapCommitUnderWay: the coordinator's connection breaks while the control database
// commits the change of placement, and takes its time.
func trapCommitUnderWay(t *testing.T) {
	w := newWorld(t)
	direct := pgtest.Database(t)
	wire := badwire.New(t, direct)
	w.dsn = wire.DSN(direct)
	i := w.instance(t, nil)
	g := newGate(t, direct, "placements", "NEW.epoch > 1")
	s := newScene(t, i, "one")
	m := s.ready(i, "two")
	g.shut()
	ask(t, i, m.ID, WantCutover)
	g.someoneWaits()
	wire.Down()
	_, before := g.waiting()
	wire.Up()
	source := backends.Place{Backend: "one", Storefront: s.storefront, Epoch: 1}
	const behindTheCommit = 2 // the heartbeat and the abort
	opened := false
	require.Eventually(t, func() bool {
		opened = fence(t, i, source).State == backends.Active
		_, now := g.waiting()
		return opened || len(slices.DeleteFunc(now, func(pid int64) bool { return slices.Contains(before, pid) })) == behindTheCommit
	}, waitLong, waitStep)
	if opened {
		s.put(i, hotCell)
	}
	g.open()
	w.dsn = direct
	other := w.instance(t, nil) // knows nothing of the old place
	require.Eventually(t, func() bool {
		at, err := i.directory.Placement(context.Background(), s.storefront)
		return err == nil && at.Epoch == 2
	}, waitLong, waitStep)
	require.NoError(t, s.verdict(other.router))
	i.waitFor(t, m.ID, Watching)
}
