package migration

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestAMoveThatWaitsRests: verified, it holds no store open and keeps its lease by what
// renews all that rest; the word, through another instance, wakes it from whatever rest.
func TestAMoveThatWaitsRests(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	one, two := w.instance(t, nil), w.instance(t, nil)
	for _, i := range []*instance{one, two} {
		i.runner.watchLeast = time.Hour
	}
	id := one.storefront(t, 10)
	m := start(t, one, id, Options{ManualCutover: true, WindowSeconds: 24 * 3600})
	scene{&load{storefront: id}, t}.verified(one, m.ID)
	m, err := one.service.Get(ctx, m.ID)
	require.NoError(t, err)
	owner, other := one, two
	if m.Owner == two.runner.instance {
		owner, other = two, one
	}
	require.Eventually(t, func() bool {
		usage := owner.stores.Usage()
		return usage["one"].Busy+usage["two"].Busy == 0
	}, waitLong, waitStep, "it holds its stores")
	for range 3 { // leases, each of which would have run out
		until := m.LeaseUntil
		require.Eventually(t, func() bool {
			m, err = one.service.Get(ctx, m.ID)
			return err == nil && m.LeaseUntil > until
		}, waitLong, waitStep, "nobody renews its lease")
	}
	gen := m.Gen
	put(t, other, id, "written while it rests")
	ask(t, other, m.ID, WantCutover)
	m = other.waitFor(t, m.ID, Watching)
	require.Equal(t, gen, m.Gen, "it was taken over")
	var kept int64
	require.NoError(t, other.router.Get(ctx, id, &kept, readCell, "written while it rests"))
	require.EqualValues(t, 1, kept)
}

// TestWhatStandsByIsTakenOverAtOnce, though every slot of its new owner is taken, and compared
// once more behind the word, not before.
func TestWhatStandsByIsTakenOverAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var pages atomic.Int64
	w.wrap = func(s backends.Store) backends.Store {
		return &watched{Store: s, afterPage: func(*backends.Table) { pages.Add(1) }}
	}
	one := w.instance(t, nil)
	s := newScene(t, one, "one")
	m := s.ready(one, "two")
	one.runner.Stop()
	two := w.instance(t, nil)
	for range AtOnce {
		two.runner.slots <- struct{}{}
	}
	before := pages.Load()
	require.Eventually(t, func() bool { return get(t, two, m.ID).Owner == two.runner.instance }, waitLong, waitStep)
	s.put(two, hotCell)
	source := two.store(t, m.Source)
	require.Eventually(t, func() bool {
		left, err := source.Backlog(context.Background())
		return err == nil && left == 0
	}, waitLong, waitStep, "it stays in step")
	require.Equal(t, before, pages.Load())
	for range AtOnce {
		<-two.runner.slots
	}
	s.judge(two, m.ID)
	require.Greater(t, pages.Load(), before)
}

// TestARepeatedComparisonTakesASlot: a move that has given its slot back, and whose
// verification begins anew after a place was away, takes one again.
func TestARepeatedComparisonTakesASlot(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	x := &run{Runner: i.runner, leaveSlot: func() {}, m: &Move{}, grip: &grip{nudged: make(chan struct{}, 1)}}
	x.giveSlotBack()
	require.NoError(t, x.awaitSlot(context.Background()))
	require.Len(t, i.runner.slots, 1)
	require.NoError(t, x.awaitSlot(context.Background()), "it has one")
	require.Len(t, i.runner.slots, 1)
	x.giveSlotBack()
	require.Empty(t, i.runner.slots)
}
