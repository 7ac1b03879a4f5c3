package migration

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

func TestExplainMove(t *testing.T) {
	t.Parallel()
	const now = 1_000_000_000
	ended := int64(now)
	held := func(m Move) *Move {
		m.ID, m.Owner, m.LeaseUntil = "m1", "me", now+5_000_000
		return &m
	}
	for name, c := range map[string]struct {
		move   *Move
		tables []Checkpoint
		want   string // of the last wait
	}{
		"ended":      {&Move{Phase: Failed, EndedAt: &ended, Cause: "no room", Advice: "make some"}, nil, "end: the move has ended: failed; no room / make some"},
		"paused":     {&Move{ID: "m1", Phase: Paused}, nil, "operator: the move is paused / resume or cancel it: smartseller move resume m1"},
		"ownerless":  {&Move{Phase: Preparing, LeaseUntil: now - 7_000_000}, nil, "lease: no instance runs the move; it could be taken over for 7s already"},
		"copying":    {held(Move{Phase: Copying}), []Checkpoint{{Table: "a", Done: true}, {Table: "b", Copied: 3, Total: 9}}, "progress: copies b: 3 of 9 rows"},
		"comparing":  {held(Move{Phase: Verifying}), nil, "progress: compares every row"},
		"manual":     {held(Move{Phase: Verifying, Options: Options{ManualCutover: true}, Stats: Stats{VerifiedAt: now - 60_000_000}}), nil, "operator: verified 1m0s ago; it stays in step until a cutover is asked for / let it cut over: smartseller move cutover m1"},
		"again":      {held(Move{Phase: Verifying, Stats: Stats{VerifiedAt: now - 60_000_000, Doing: comparesAgain}}), nil, "progress: compares every row of both places once more"},
		"catches up": {held(Move{Phase: CatchingUp}), nil, "progress: brings over what has changed"},
		"cuts back":  {held(Move{Phase: RollingBack, Stats: Stats{CutoverTries: 2}}), nil, "progress: cuts back; 2 tries were begun"},
		"rehearsal":  {held(Move{Phase: CuttingOver, Options: Options{Mode: Rehearsal}}), nil, "progress: tries what a cutover would do, up to the commit"},
		"asked":      {held(Move{Phase: Preparing, Intent: WantPause}), nil, "operator: pause was asked"},
		"watching":   {held(Move{Phase: Watching, Options: Options{WindowSeconds: 90}, Stats: Stats{CommittedAt: now - 30_000_000}}), nil, "window: the storefront lives at the new place; the rollback window closes in 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waits := append(explainMove(c.move, c.tables, 100, now), explainWord(c.move, now)...)
			require.NotEmpty(t, waits)
			last := waits[len(waits)-1]
			require.Contains(t, last.For+": "+last.Detail+" / "+last.Todo, c.want)
		})
	}
}

// TestExplainSaysWhoseWishThePaceIs: an operator's for all moves, for this one, or the requests'.
func TestExplainSaysWhoseWishThePaceIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		works, told, all int64
		says, todo       string
	}{
		{works: 40, all: 100, says: "40 % of the time, so that requests do not feel it", todo: "--unpaced"},
		{works: 40, told: 40, all: 100, says: "40 % of the time, as it was told to", todo: "move pace 100 m1"},
		{works: 40, all: 40, says: "40 % of the time, as all moves were told to", todo: "let all work more: smartseller move pace 100"},
		{works: 40, told: 60, all: 40, says: "as all moves were told to", todo: "let all work more"},
		{works: 40, told: 60, all: 60, says: "so that requests do not feel it", todo: "--unpaced"},
	} {
		m := &Move{ID: "m1", Options: Options{PacePercent: c.told}, Phase: Copying, LeaseUntil: 2, Stats: Stats{PacePercent: c.works}}
		waits := explainMove(m, []Checkpoint{{Table: "a"}}, c.all, 1)
		at := slices.IndexFunc(waits, func(w Wait) bool { return w.For == "pace" })
		require.GreaterOrEqual(t, at, 0, "%+v", c)
		require.Contains(t, waits[at].Detail, c.says)
		require.Contains(t, waits[at].Todo, c.todo)
	}
}

// TestExplainNamesTheTransactionAndTheKey: a writer that does not end is what the barrier
// waits for, and with it whoever waits for its rows.
func TestExplainNamesTheTransactionAndTheKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWideWorld(t).instance(t, nil)
	id := i.storefront(t, 10)
	m := startTo(t, i, id, "shared", Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
	count := func(fn func()) error {
		return i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(countUp, "contended")
			fn()
			return err
		})
	}
	require.NoError(t, i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(addCounter, "contended", 1)
		return err
	}))
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 2)
	go func() { done <- count(func() { close(entered); <-leave }) }()
	<-entered
	go func() { done <- count(func() {}) }()

	m = startTo(t, i, id, "two", Options{})
	i.explains(t, m.ID, Preparing, "transaction", `^on shared: database process \d+, idle in transaction, \d+ s in its transaction$`)
	i.explains(t, m.ID, Preparing, "key", `^the same process waits for row contended of counters, which database process \d+ has locked$`)
	close(leave)
	require.NoError(t, errors.Join(<-done, <-done))
	i.waitFor(t, m.ID, Watching)
	_, err := i.service.Explain(ctx, "nobody")
	require.ErrorIs(t, err, ErrNoMove)
}

// TestExplainNamesTheTransactionAndTheLock: who waits for a row that another has not written to
// the end yet waits for a lock of no key that one could name.
func TestExplainNamesTheTransactionAndTheLock(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWideWorld(t).instance(t, nil)
	id := i.storefrontOn(t, "shared", 10)
	errChanged := errors.New("the first one changed its mind")
	add := func(fn func() error) error {
		return i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(addCounter, "contended", 1)
			return errors.Join(err, fn())
		})
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- add(func() error { close(entered); <-leave; return errChanged }) }()
	<-entered
	go func() { second <- add(func() error { return nil }) }()

	m := startTo(t, i, id, "two", Options{})
	i.explains(t, m.ID, Preparing, "lock", `^the same process waits for a lock of database process \d+$`)
	close(leave)
	require.ErrorIs(t, <-first, errChanged)
	require.NoError(t, <-second)
	i.waitFor(t, m.ID, Watching)
}

// TestExplainNamesTheProcess that writes to a SQLite file and does not end.
func TestExplainNamesTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 10)
	pid, letGo := holder(t, w.file("one", id, "1"))
	m := start(t, i, id, Options{})
	i.explains(t, m.ID, Preparing, "transaction", fmt.Sprintf(`in process %d \(.+\) on this host$`, pid))
	letGo()
	i.waitFor(t, m.ID, Watching)
}

// TestExplainNamesWhoHoldsUpTheEnd: a cancel waits for who writes to the old place, an
// end for who writes to the new one.
func TestExplainNamesWhoHoldsUpTheEnd(t *testing.T) {
	t.Parallel()
	for want, c := range map[Intent]struct {
		options        Options
		rests, ends    Phase
		backend, epoch string
		last           Phase
	}{
		WantCancel:   {Options{ManualCutover: true}, Verifying, Cancelling, "one", "1", Cancelled},
		WantFinalize: {Options{WindowSeconds: 3600}, Watching, Finalizing, "two", "2", Completed},
	} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			i := w.instance(t, nil)
			id := i.storefront(t, 10)
			m := start(t, i, id, c.options)
			i.waitFor(t, m.ID, c.rests)
			pid, letGo := holder(t, w.file(c.backend, id, c.epoch))
			ask(t, i, m.ID, want)
			i.explains(t, m.ID, c.ends, "transaction", fmt.Sprintf(`in process %d \(.+\) on this host$`, pid))
			letGo()
			i.waitFor(t, m.ID, c.last)
		})
	}
}

// TestExplainNamesTheOldPlaceThatIsAway: an end waits for it, and says nothing of it when
// it is erased.
func TestExplainNamesTheOldPlaceThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := &stage{}
	i := w.instance(t, at.hook)
	i.runner.tolerance = waitLong
	id := i.storefront(t, 10)
	m := start(t, i, id, Options{})
	i.waitFor(t, m.ID, Watching)
	putBack := takeAway(t, filepath.Join(w.folder, "one"))
	at.set("K18")
	ask(t, i, m.ID, WantFinalize)
	i.explains(t, m.ID, Finalizing, "backend", "^one does not answer here: .*cannot be reached")
	putBack()
	happens(t, at.reached, "an old place that is erased")
	e, err := i.service.Explain(t.Context(), m.ID)
	close(at.goOn)
	require.NoError(t, err)
	require.Equal(t, Finalizing, e.Phase)
	require.False(t, anyWait(e, "backend", ""), "%+v", e)
	require.Empty(t, i.waitFor(t, m.ID, Completed).LeftBehind)
}

// explains waits until a move in that phase is said to wait for that.
func (i *instance) explains(t *testing.T, move string, in Phase, what, detail string) {
	t.Helper()
	var found []Wait
	require.Eventually(t, func() bool {
		e, err := i.service.Explain(t.Context(), move)
		require.NoError(t, err)
		found = e.Waits
		return e.Phase == in && slices.ContainsFunc(found, func(w Wait) bool {
			return w.For == what && regexp.MustCompile(detail).MatchString(w.Detail)
		})
	}, waitLong, 10*time.Millisecond, "%v", &found)
}

func TestWhereAStorefrontWas(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 1)
	before := time.Now().UnixMicro()
	m := start(t, i, id, Options{})
	m = i.waitFor(t, m.ID, Watching)

	was, err := i.directory.Was(ctx, id, before)
	require.NoError(t, err)
	require.Equal(t, "one", was.Placement.Place.Backend)
	require.EqualValues(t, 1, was.Placement.Epoch)
	require.NotNil(t, was.Until)
	is, err := i.directory.Was(ctx, id, *was.Until)
	require.NoError(t, err)
	require.Equal(t, backends.Stay{
		Placement: backends.Placement{Place: backends.Place{Backend: "two", Storefront: id, Epoch: 2}, Epoch: 2}, Since: *was.Until, Move: m.ID,
	}, is)
	_, err = i.directory.Was(ctx, id, 1)
	require.ErrorIs(t, err, backends.ErrNotYetPlaced)
	_, err = i.directory.Was(ctx, "nobody", before)
	require.ErrorIs(t, err, backends.ErrNoStorefront)
}

// TestExplainNamesTheGateAndTheKey: what made a move give up stands in what it waits for
// while it is undone, with what to do.
func TestExplainNamesTheGateAndTheKey(t *testing.T) {
	t.Parallel()
	const now = 1_000_000_000
	m := &Move{Phase: Cancelling, Owner: "me", LeaseUntil: now + 1, Cause: "verification failed: customers 42 differs in email; nothing was cut over", Advice: "look at it"}
	require.Contains(t, explainMove(m, nil, 100, now), Wait{For: "cause", Detail: m.Cause, Todo: m.Advice})
	m.Cause = (&gateError{mismatchError{"gate space: too little"}, "free some"}).Error()
	require.Contains(t, explainMove(m, nil, 100, now), Wait{For: "gate", Detail: m.Cause, Todo: m.Advice})
}

// TestExplainSaysWhyAMoveDoesNotGoOn: an old place takes no rows, which only the server's log
// told; explain says so until it has passed.
func TestExplainSaysWhyAMoveDoesNotGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	w.executeAt(t, m.Source, `CREATE TRIGGER mine BEFORE INSERT ON counters BEGIN SELECT RAISE(ABORT, 'it takes no rows'); END`)
	s.put(i, hotCell)
	i.explains(t, m.ID, Watching, "trouble", "it takes no rows")
	w.executeAt(t, m.Source, `DROP TRIGGER mine`)
	require.Eventually(t, func() bool { return get(t, i, m.ID).Stats.Trouble == nil }, waitLong, waitStep)
	require.Equal(t, 2, countEvents(t, i, m.ID, "trouble"), "once when it lasted, once when it had passed")
	e, err := i.service.Explain(t.Context(), m.ID)
	require.NoError(t, err)
	require.False(t, anyWait(e, "trouble", ""))
}

// TestExplainOfAWordOutsideItsWindow: what was asked waits for the window, not for a step.
func TestExplainOfAWordOutsideItsWindow(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro()
	for window, waits := range map[string]string{"02:00-05:00": "window", "11:00-13:00": "operator"} {
		m := &Move{Phase: Verifying, Intent: WantCutover, LeaseUntil: at + 1, Options: Options{CutoverWindow: window, TimeZone: "UTC", ManualCutover: true}}
		m.Stats.VerifiedAt = at - 1
		found := map[string]bool{}
		for _, w := range explainMove(m, nil, 100, at) {
			found[w.For] = true
		}
		require.Equal(t, map[string]bool{"lease": true, waits: true}, found, window)
	}
}
