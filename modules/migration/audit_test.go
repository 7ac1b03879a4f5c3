package migration

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// spoil changes a row of a place that takes part in a move, beside the move.
func (i *instance) spoil(t *testing.T, p backends.Place, table, id string, row backends.Row) {
	t.Helper()
	ctx := context.Background()
	s := i.store(t, p)
	f, err := s.Fence(ctx)
	require.NoError(t, err)
	k := backends.Key{Table: table, ID: id}
	b := backends.Batch{Keys: []backends.Key{k}}
	if row != nil {
		b.Rows = map[backends.Key]backends.Row{k: row}
	}
	require.NoError(t, s.Apply(ctx, backends.Token{Move: f.Move, Gen: f.Gen}, b))
}

// audited waits for the result of a comparison that was asked for.
func (i *instance) audited(t *testing.T, id string) *Audit {
	t.Helper()
	before := int64(0)
	m, err := i.service.Ask(context.Background(), id, WantVerify)
	require.NoError(t, err)
	if m.Stats.Audit != nil {
		before = m.Stats.Audit.Round
	}
	var found *Audit
	require.Eventually(t, func() bool {
		m, err := i.service.Get(context.Background(), id)
		require.NoError(t, err)
		found = m.Stats.Audit
		return found != nil && found.Round > before && found.Asked
	}, waitLong, waitStep)
	return found
}

// TestVerifyInTheWindow: while the window is open both places are compared when
// somebody asks, under load; a row that differs is named, alarms, and hinders nothing
// but a rollback.
func TestVerifyInTheWindow(t *testing.T) {
	t.Parallel()
	for _, way := range [][2]string{{"one", "two"}, {"shared", "dedicated"}} {
		t.Run(way[0], func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			i := newWideWorld(t).instance(t, nil)
			id := i.storefrontOn(t, way[0], 2500)
			l := startLoad(id, i.router)
			m := startTo(t, i, id, way[1], Options{})
			_, err := i.service.Ask(ctx, m.ID, WantVerify)
			require.Error(t, err, "there is no second place yet")
			i.waitFor(t, m.ID, Watching)
			a := i.audited(t, m.ID)
			require.Zero(t, a.Findings, a.Found)
			require.GreaterOrEqual(t, a.Rows, int64(2500))

			old := backends.Place{Backend: way[0], Storefront: id, Epoch: 1}
			i.spoil(t, old, "counters", "row-000007", backends.Row{"row-000007", int64(666)})
			i.spoil(t, old, "counters", "row-000008", nil)
			a = i.audited(t, m.ID)
			require.GreaterOrEqual(t, a.Findings, int64(2))
			require.Contains(t, a.Found, "counters row-000007 differs: columns value")
			require.Contains(t, a.Found, "counters row-000008 differs: the row is missing at the old place")
			e, err := i.service.Explain(ctx, m.ID)
			require.NoError(t, err)
			require.True(t, anyWait(e, "audit", "ALARM"))
			require.InDelta(t, 1, alarms(t, i), 0)
			require.Equal(t, 2, countEvents(t, i, m.ID, "audit"))

			ask(t, i, m.ID, WantRollback)
			require.Eventually(t, func() bool {
				m, err := i.service.Get(ctx, m.ID)
				require.NoError(t, err)
				return m.Phase == Watching && m.Cause != ""
			}, waitLong, waitStep, "the rollback is refused")
			i.requireAt(t, id, way[1], 2)

			// Written once more, a row goes to both places; then they are equal.
			require.NoError(t, i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
				_, err := tx.Exec(touchCounters)
				return err
			}))
			a = i.audited(t, m.ID)
			require.Zero(t, a.Findings, a.Found)
			require.Empty(t, get(t, i, m.ID).Cause, "why the rollback was refused is over")
			ask(t, i, m.ID, WantRollback)
			m = i.waitFor(t, m.ID, RolledBack)
			require.Contains(t, m.Receipt, `"audit":{"round":3`)
			l.check(t, i.router)
		})
	}
}

var touchCounters = backends.Write(counters, `UPDATE counters SET value = value WHERE storefront_id = $1 AND id IN ('row-000007', 'row-000008')`)

func countEvents(t *testing.T, i *instance, move, kind string) (n int) {
	t.Helper()
	events, err := i.service.Events(context.Background(), move, 0, 1000)
	require.NoError(t, err)
	for _, e := range events {
		if e.Kind == kind {
			require.True(t, json.Valid([]byte(e.Data)))
			n++
		}
	}
	return n
}

// TestAuditFindsByItself: nobody has to ask.
func TestAuditFindsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.audit = time.Millisecond
	i := w.instance(t, nil)
	id := i.storefront(t, 200)
	m := start(t, i, id, Options{})
	i.waitFor(t, m.ID, Watching)
	audit := func() *Audit {
		m, err := i.service.Get(context.Background(), m.ID)
		require.NoError(t, err)
		return m.Stats.Audit
	}
	require.Eventually(t, func() bool { return audit() != nil }, waitLong, waitStep)
	require.Zero(t, audit().Findings)
	i.spoil(t, backends.Place{Backend: "one", Storefront: id, Epoch: 1}, "counters", "row-000199", backends.Row{"row-000199", int64(1)})
	require.Eventually(t, func() bool { return audit().Findings > 0 }, waitLong, waitStep)
	require.False(t, audit().Asked)
}

// alarms counts the comparisons that found something, as metrics tell them.
func alarms(t *testing.T, i *instance) float64 {
	return counted(t, i, "smartseller_move_audits_total", "different")
}

// counted is a counter of the metrics, of a label if it has one; -1 when there is none.
func counted(t *testing.T, i *instance, name string, label ...string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(i.runner.Metrics()))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && (len(label) == 0 || m.Label[0].GetValue() == label[0]) {
				return m.Counter.GetValue()
			}
		}
	}
	return -1
}
