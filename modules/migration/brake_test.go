package migration

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestBrake weighs what is complained about, from second to second.
func TestBrake(t *testing.T) {
	waits := func(ms int64) []complaint {
		return complain("one", backends.Strain{LockWait: time.Duration(ms) * time.Millisecond})
	}
	full := complainOfRoom("one", backends.Room{Free: 49}, 100)
	type second struct {
		all   []complaint
		halts bool
	}
	for name, seconds := range map[string][]second{
		"a short wait":   {{waits(50), false}},
		"a long wait":    {{waits(51), true}, {waits(0), false}},
		"not the copy's": {{waits(100), true}, 29: {waits(100), true}, 30: {waits(100), false}, 40: {waits(0), false}, 41: {waits(100), true}},
		"it gets better": {{waits(1000), true}, 30: {waits(500), true}, 59: {waits(500), true}, 60: {waits(500), false}},
		"a full disk":    {{full, true}, 100: {full, true}, 101: {complainOfRoom("one", backends.Room{Free: 50}, 100), false}},
		"an unknown one": {{complainOfRoom("one", backends.UnknownRoom, 100), false}},
		"a standby":      {{complain("one", backends.Strain{Behind: mostBehind + 1}), true}},
	} {
		t.Run(name, func(t *testing.T) {
			now, at := time.Unix(1_000_000, 0), 0
			b := &brake{clock: func() time.Time { return now }, ask: func(context.Context) []complaint { return seconds[at].all }}
			was := ""
			for n, s := range seconds {
				if s.all == nil && n > 0 { // as the second before
					seconds[n] = seconds[n-1]
				}
				at = n
				why, changed := b.pull(context.Background())
				require.Equal(t, seconds[n].halts, why != "", "second %d", n)
				require.Equal(t, (why == "") != (was == ""), changed)
				was = why
				now = now.Add(brakeEvery)
			}
		})
	}
}

// TestAnotherReasonIsTold, and the same one once, however long the wait has become.
func TestAnotherReasonIsTold(t *testing.T) {
	waits := func(d time.Duration) []complaint { return complain("one", backends.Strain{LockWait: d}) }
	b := &brake{}
	for n, second := range []struct {
		all     []complaint
		changed bool
	}{
		{waits(time.Second), true}, {waits(2 * time.Second), false}, {complainOfRoom("one", backends.Room{Free: 1}, 100), true}, {nil, true}, {nil, false},
	} {
		_, changed := b.weigh(time.Unix(int64(n), 0), second.all)
		require.Equal(t, second.changed, changed, n)
	}
}

// TestServersThatSufferAreLetBe: the copy halts, says why, and hears its operator; it goes
// on when that has passed.
func TestServersThatSufferAreLetBe(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	var suffers atomic.Bool
	w.strain = func() (s backends.Strain) {
		if suffers.Load() {
			s.LockWait = time.Second
		}
		return s
	}
	i := w.instance(t, nil)
	for _, then := range []struct {
		happens func(m *Move)
		ends    Phase
	}{
		{func(*Move) { suffers.Store(false) }, Watching},
		{func(m *Move) {
			ask(t, i, m.ID, WantCancel)
			i.waitFor(t, m.ID, Cancelling)
			suffers.Store(false) // what it made is erased at the same pace
		}, Cancelled},
	} {
		suffers.Store(true)
		m, err := i.service.Start(ctx, Request{Storefront: i.storefront(t, 3), Target: "two"})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.Halted != "" }, waitLong, waitStep)
		require.Zero(t, get(t, i, m.ID).Stats.PacePercent)
		e, err := i.service.Explain(ctx, m.ID)
		require.NoError(t, err)
		require.True(t, anyWait(e, "pace", "has waited 1s for a lock"))
		then.happens(m)
		require.Empty(t, i.waitFor(t, m.ID, then.ends).Stats.Halted)
	}
}
