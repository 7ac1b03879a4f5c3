package storetest

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

var fenceCases = map[string]func(*testing.T, *home){
	"states let in whom they should":       statesLetIn,
	"an epoch other than its own":          epochMustMatch,
	"no fence, no entry":                   noFenceNoEntry,
	"founding is repeatable":               foundingRepeats,
	"founding on rows is refused":          foundingOnRows,
	"a stale token changes nothing":        staleTokenChangesNothing,
	"one move at a time":                   oneMoveAtATime,
	"a transition is repeatable":           transitionRepeats,
	"a transition from elsewhere":          transitionFromElsewhere,
	"a seal waits for writers, briefly":    sealWaitsBriefly,
	"no write is acknowledged once sealed": noWriteOnceSealed,
	"release forgets the move":             releaseForgets,
	"a free fence keeps its number":        freeFenceKeepsNumber,
}

// patience bounds waits that should end much sooner.
const patience = 20 * time.Second

func enlisted(t testing.TB, s backends.Store) backends.Token {
	t.Helper()
	k := token()
	require.NoError(t, s.Enlist(context.Background(), k))
	return k
}

func requireRefused(t *testing.T, err error, state backends.State) {
	t.Helper()
	var refused *backends.Refused
	require.ErrorAs(t, err, &refused)
	require.Equal(t, state, refused.State)
}

func nothing(backends.Tx) error { return nil }

func statesLetIn(t *testing.T, h *home) {
	for state, allowed := range map[backends.State]struct{ read, write bool }{
		backends.Active:  {true, true},
		backends.Sealed:  {true, false},
		backends.Closed:  {false, false},
		backends.Moved:   {false, false},
		backends.Standby: {false, false},
		backends.Loading: {false, false},
	} {
		s := h.storefront(t)
		change(t, s, enlisted(t, s), state, backends.Active)
		for _, c := range []struct {
			err error
			ok  bool
		}{{view(s, nothing), allowed.read}, {tryUpdate(s, nothing), allowed.write}} {
			if c.ok {
				require.NoError(t, c.err, state)
			} else {
				requireRefused(t, c.err, state)
			}
		}
	}
}

func epochMustMatch(t *testing.T, h *home) {
	s := h.storefront(t)
	for _, wrong := range []int64{epoch - 1, epoch + 1} {
		for _, fn := range []func(backends.Tx) error{
			nothing,
			func(tx backends.Tx) error { // a refusal that the function makes something else of
				var n int64
				require.Error(t, tx.Get(&n, getCounter, "a"))
				return sql.ErrNoRows
			},
			func(tx backends.Tx) error { // one that it does not heed
				var n int64
				_ = tx.Get(&n, getCounter, "a")
				return nil
			},
		} {
			inside := func(_ context.Context, tx backends.Tx) error { return fn(tx) }
			requireRefused(t, s.Update(context.Background(), wrong, inside), backends.Active)
			requireRefused(t, s.View(context.Background(), wrong, inside), backends.Active)
		}
	}
}

func noFenceNoEntry(t *testing.T, h *home) {
	s := h.place(t)
	requireRefused(t, view(s, nothing), backends.Absent)
	requireRefused(t, tryUpdate(s, nothing), backends.Absent)
}

func foundingRepeats(t *testing.T, h *home) {
	s := h.storefront(t)
	require.NoError(t, s.Found(context.Background(), epoch))
	require.ErrorIs(t, s.Found(context.Background(), epoch+1), backends.ErrNotEmpty)
	require.ErrorIs(t, s.Install(context.Background(), token(), epoch), backends.ErrNotEmpty)
}

func foundingOnRows(t *testing.T, h *home) {
	s, k := h.place(t), token()
	require.NoError(t, s.Install(context.Background(), k, epoch))
	require.NoError(t, s.Install(context.Background(), k, epoch), "repeated")
	load(t, s, k, counterRow("a", 1))
	for range 3 { // all but the fence and one row
		_, err := s.Purge(context.Background(), k, 0)
		require.NoError(t, err)
	}
	require.ErrorIs(t, s.Found(context.Background(), epoch), backends.ErrNotEmpty)
	purge(t, s, k)
	require.NoError(t, s.Found(context.Background(), epoch))
}

func staleTokenChangesNothing(t *testing.T, h *home) {
	ctx := context.Background()
	s := h.place(t)
	old := token()
	require.NoError(t, s.Install(ctx, old, epoch))
	load(t, s, old, counterRow("a", 1))
	require.NoError(t, s.Apply(ctx, old, backends.Batch{
		Keys: []backends.Key{counterKey("a")},
		Rows: map[backends.Key]backends.Row{counterKey("a"): counterRow("a", 2)}, Verify: true,
	}))
	newer := backends.Token{Move: old.Move, Gen: 2}
	require.NoError(t, s.Takeover(ctx, newer))
	require.NoError(t, s.Takeover(ctx, newer), "repeated")
	entries, err := s.ToVerify(ctx, 10)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	for _, stale := range []backends.Token{old, {Move: token().Move, Gen: 9}} {
		for name, err := range map[string]error{
			"load":     s.Load(ctx, stale, pageOf(t, counters, counterRow("b", 1)), backends.Progress{Table: "counters"}),
			"apply":    s.Apply(ctx, stale, backends.Batch{Keys: []backends.Key{counterKey("a")}}),
			"change":   s.Change(ctx, stale, backends.Transition{From: []backends.State{backends.Loading}, To: backends.Active}),
			"barrier":  s.Barrier(ctx, stale, time.Second),
			"verified": s.Verified(ctx, stale, entries),
			"forget":   s.Forget(ctx, stale, entries),
			"takeover": s.Takeover(ctx, stale),
			"purge":    purgeOnce(s, stale),
		} {
			require.ErrorIs(t, err, backends.ErrStaleToken, name)
		}
	}
	require.Equal(t, []backends.Row{counterRow("a", 2)}, scan(t, s, counters))
}

func oneMoveAtATime(t *testing.T, h *home) {
	ctx := context.Background()
	s := h.storefront(t)
	k := enlisted(t, s)
	require.NoError(t, s.Enlist(ctx, k), "repeated")
	require.ErrorIs(t, s.Enlist(ctx, token()), backends.ErrTransition)
	f, err := s.Fence(ctx)
	require.NoError(t, err)
	require.Equal(t, backends.Fence{Epoch: epoch, State: backends.Active, Capture: true, Move: k.Move, Gen: k.Gen}, f)
}

func transitionRepeats(t *testing.T, h *home) {
	s := h.storefront(t)
	k := enlisted(t, s)
	seal := backends.Transition{From: []backends.State{backends.Active}, To: backends.Sealed, Epoch: 5, Capture: true, Exclusive: patience}
	require.NoError(t, s.Change(context.Background(), k, seal))
	require.NoError(t, s.Change(context.Background(), k, seal))
	f, err := s.Fence(context.Background())
	require.NoError(t, err)
	require.Equal(t, backends.Fence{Epoch: 5, State: backends.Sealed, Capture: true, Move: k.Move, Gen: k.Gen}, f)
}

func transitionFromElsewhere(t *testing.T, h *home) {
	s := h.storefront(t)
	err := s.Change(context.Background(), enlisted(t, s), backends.Transition{From: []backends.State{backends.Sealed}, To: backends.Closed})
	require.ErrorIs(t, err, backends.ErrTransition)
	require.NoError(t, tryUpdate(s, nothing))
}

// sealWaitsBriefly holds a writer open: the seal gives up, harms nothing, says who
// was in the way, and works when the writer has ended.
func sealWaitsBriefly(t *testing.T, h *home) {
	ctx := context.Background()
	s := h.storefront(t)
	k := enlisted(t, s)
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- tryUpdate(s, func(tx backends.Tx) error {
			_, err := tx.Exec(addCounter, "a", 1)
			close(entered)
			<-leave
			return err
		})
	}()
	<-entered
	seal := backends.Transition{From: []backends.State{backends.Active}, To: backends.Sealed, Capture: true, Exclusive: 30 * time.Millisecond}
	require.ErrorIs(t, s.Change(ctx, k, seal), backends.ErrLockBusy)
	require.ErrorIs(t, s.Barrier(ctx, k, 30*time.Millisecond), backends.ErrLockBusy)
	holders, err := s.Holders(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, holders)
	close(leave)
	require.NoError(t, <-done)
	seal.Exclusive = patience
	require.NoError(t, s.Change(ctx, k, seal))
	require.EqualValues(t, 1, value(t, s, "a"))
}

// noWriteOnceSealed counts what writers were told against what is there, with the
// seal falling into their midst; the captured keys are those of the writes.
func noWriteOnceSealed(t *testing.T, h *home) {
	ctx := context.Background()
	for range 5 {
		s := h.storefront(t)
		k := enlisted(t, s)
		put(t, s, "a", 0)
		started, results := make(chan struct{}, writers), make(chan int64, writers)
		for range writers {
			go func() {
				var acknowledged int64
				for {
					err := tryUpdate(s, func(tx backends.Tx) error {
						var v int64
						return tx.Get(&v, bumpCounter, "a")
					})
					if err != nil {
						results <- acknowledged
						return
					}
					if acknowledged++; acknowledged == 1 {
						started <- struct{}{}
					}
				}
			}()
		}
		for range writers {
			<-started
		}
		seal := backends.Transition{From: []backends.State{backends.Active}, To: backends.Sealed, Capture: true, Exclusive: patience}
		require.NoError(t, s.Change(ctx, k, seal))
		sealed := value(t, s, "a")
		var acknowledged int64
		for range writers {
			acknowledged += <-results
		}
		require.Equal(t, acknowledged, sealed)
		require.Equal(t, sealed, value(t, s, "a"))
		backlog, err := s.Backlog(ctx)
		require.NoError(t, err)
		require.Equal(t, sealed+1, backlog, "one entry per write, none shared")
	}
}

func releaseForgets(t *testing.T, h *home) {
	ctx := context.Background()
	s := h.storefront(t)
	k := enlisted(t, s)
	release := backends.Transition{From: []backends.State{backends.Active}, To: backends.Active, Release: true}
	require.NoError(t, s.Change(ctx, k, release))
	require.NoError(t, s.Change(ctx, k, release), "repeated")
	f, err := s.Fence(ctx)
	require.NoError(t, err)
	require.Equal(t, backends.Fence{Epoch: epoch, State: backends.Active, Gen: k.Gen}, f)
	enlisted(t, s)
}

// freeFenceKeepsNumber has a mover that was taken over come late: the move was given
// up, the fence is free, and must stay so.
func freeFenceKeepsNumber(t *testing.T, h *home) {
	ctx := context.Background()
	s := h.storefront(t)
	late := token()
	newer := backends.Token{Move: late.Move, Gen: late.Gen + 1}
	require.NoError(t, s.Takeover(ctx, newer), "before anybody enlisted it")
	require.ErrorIs(t, s.Enlist(ctx, late), backends.ErrStaleToken)
	require.ErrorIs(t, s.Takeover(ctx, late), backends.ErrStaleToken)
	require.NoError(t, s.Enlist(ctx, newer))
	require.NoError(t, s.Change(ctx, newer, backends.Transition{From: []backends.State{backends.Active}, To: backends.Active, Release: true}))
	require.ErrorIs(t, s.Enlist(ctx, late), backends.ErrStaleToken)
	f, err := s.Fence(ctx)
	require.NoError(t, err)
	require.Equal(t, backends.Fence{Epoch: epoch, State: backends.Active, Gen: newer.Gen}, f)
}
