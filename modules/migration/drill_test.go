package migration

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// requireDrilled wants an exercise to have ended where it began, with nothing left of it.
func (i *instance) requireDrilled(t *testing.T, m *Move) *DrillReport {
	t.Helper()
	i.requireAt(t, m.Storefront, m.Source.Backend, 3)
	f := fence(t, i, m.Source)
	require.Equal(t, backends.Fence{Epoch: 3, State: backends.Active, Gen: f.Gen}, f)
	b, err := i.directory.Backend(context.Background(), m.Target.Backend)
	require.NoError(t, err)
	require.NoError(t, b.Destroy(context.Background(), m.Target), "which proves that nothing is left")
	var signed struct{ Receipt Receipt }
	require.NoError(t, json.Unmarshal([]byte(m.Receipt), &signed))
	require.Equal(t, m.Stats.Drill, signed.Receipt.Drill)
	return m.Stats.Drill
}

// TestDrill: under load, there and back by itself, with a report.
func TestDrill(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"two", "shared", "dedicated"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			i := newWideWorld(t).instance(t, nil)
			id := i.storefront(t, 500)
			l := startLoad(id, i.router)
			m := startTo(t, i, id, target, Options{Mode: Drill, DrillSeconds: 1, WindowSeconds: 1})
			m = i.waitFor(t, m.ID, RolledBack)
			l.check(t, i.router)
			d := i.requireDrilled(t, m)
			require.True(t, d.Passed, "%+v", d)
			require.Contains(t, d.Verdict, "rows of 3 tables are equal by digest")
			require.GreaterOrEqual(t, d.Served, int64(1_000_000))
			require.Positive(t, min(d.Ready, d.Stall, d.Changes, d.Back, d.BackStall), "%+v", d)
			require.Less(t, d.Back, d.Served+d.Ready, "from the word to the commit alone")
		})
	}
}

// TestDrillOutlivesItsOwners: one instance after another dies in the middle of an exercise,
// on its way, while the storefront lives at the new place, and on the way back.
func TestDrillOutlivesItsOwners(t *testing.T) {
	t.Parallel()
	w := newWideWorld(t)
	var l *load
	var m *Move
	var routers []backends.TenantStore
	for _, point := range []string{"K3", "K14", "K16", "rolling_back", "K10", "K13", "erasing"} {
		died := make(chan struct{})
		var dead atomic.Bool
		i := w.instance(t, func(_ context.Context, p string) error {
			if dead.Load() {
				return errCrash
			}
			if p == point && dead.CompareAndSwap(false, true) {
				close(died)
				return errCrash
			}
			return nil
		})
		routers = append(routers, i.router) // the dead one's is an instance with an old cache
		if m == nil {
			l = startLoad(i.storefront(t, 300), i.router)
			m = startTo(t, i, l.storefront, "shared", Options{Mode: Drill, DrillSeconds: 1})
		}
		l.use(routers...)
		happens(t, died, point)
		i.runner.Stop()
		t.Cleanup(i.runner.Start) // so that stopping twice is no panic
	}
	last := w.instance(t, nil)
	defer last.stop()
	l.use(append(routers, last.router)...)
	m = last.waitFor(t, m.ID, RolledBack)
	l.check(t, last.router)
	d := last.requireDrilled(t, m)
	require.True(t, d.Passed, "%+v", d)
	require.Positive(t, min(d.Stall, d.BackStall), "known at most, though whoever sealed has died")
}

// TestDrillThatCannotComeBack: what differs keeps the storefront at the new place, and the
// window open, until an operator decides; the report says so either way.
func TestDrillThatCannotComeBack(t *testing.T) {
	t.Parallel()
	for want, ends := range map[Intent]Phase{WantRollback: RolledBack, WantFinalize: Completed} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			at := &stage{}
			i := newWorld(t).instance(t, at.hook)
			id := i.storefront(t, 50)
			at.set(string(RollingBack))
			m := start(t, i, id, Options{Mode: Drill, DrillSeconds: 1, WindowSeconds: 1})
			happens(t, at.reached, "the way back")
			old := backends.Place{Backend: "one", Storefront: id, Epoch: 1}
			i.spoil(t, old, "counters", "row-000007", backends.Row{"row-000007", int64(666)})
			close(at.goOn)
			require.Eventually(t, func() bool { return i.entered(t, m.ID, Watching) == 2 }, waitLong, waitStep)
			i.requireAt(t, id, "two", 2)
			e, err := i.service.Explain(context.Background(), m.ID)
			require.NoError(t, err)
			require.True(t, anyWait(e, "cause", "counters row-000007 differs"), "%+v", e)
			require.True(t, anyWait(e, "operator", "could not be brought back"), "%+v", e)

			require.Positive(t, i.audited(t, m.ID).Findings)
			i.spoil(t, old, "counters", "row-000007", backends.Row{"row-000007", int64(7)})
			for range 2 { // the second one is made when what the first one found has been thought over
				require.Zero(t, i.audited(t, m.ID).Findings)
			}
			require.Equal(t, 1, i.entered(t, m.ID, RollingBack), "it is not tried again unasked")
			e, err = i.service.Explain(context.Background(), m.ID)
			require.NoError(t, err)
			require.True(t, anyWait(e, "operator", "could not be brought back"), "%+v", e)
			ask(t, i, m.ID, want)
			m = i.waitFor(t, m.ID, ends)
			require.False(t, m.Stats.Drill.Passed)
			require.Contains(t, m.Stats.Drill.Verdict, map[Phase]string{RolledBack: "counters row-000007 differs", Completed: "was not brought back"}[ends])
			require.Contains(t, m.Receipt, `"drill":{"passed":false`)
		})
	}
}

// TestMoveBeginsLater: before its time nobody runs it, it can only be taken back, and a time
// that comes begins it.
func TestMoveBeginsLater(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 5)
	later := Options{BeginAt: time.Now().Add(time.Hour).UnixMicro()}
	m := start(t, i, id, later)
	e, err := i.service.Explain(ctx, m.ID)
	require.NoError(t, err)
	require.True(t, anyWait(e, "window", "begins in "), "%+v", e)
	_, err = i.service.Ask(ctx, m.ID, WantPause)
	require.Equal(t, fault.Conflict, fault.Of(err).Kind)
	ask(t, i, m.ID, WantCancel)
	m = i.waitFor(t, m.ID, Cancelled)
	require.Zero(t, m.Stats.PhaseStartedAt[Preparing])

	m = start(t, i, id, later)
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error { // as if the hour had passed
		_, err := tx.Exec(`UPDATE moves SET lease_until = $2 WHERE id = $1`, m.ID, tx.Now()-1)
		return err
	}))
	i.waitFor(t, m.ID, Watching)
}

// TestDrillSecondsAreForDrills: what would be left unheeded is refused.
func TestDrillSecondsAreForDrills(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 1)
	_, err := i.service.Start(context.Background(), Request{Storefront: id, Target: "two", Options: Options{DrillSeconds: 5}})
	require.Equal(t, fault.Invalid, fault.Of(err).Kind)
}
