package planning_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

var (
	counters    = &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	addCounter  = backends.Write(counters, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, 7)`)
	dropCounter = backends.Write(counters, `DELETE FROM counters WHERE storefront_id = $1 AND id = $2`)
	keepCounter = backends.Write(counters, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, 7)
		ON CONFLICT (storefront_id, id) DO UPDATE SET value = excluded.value`)
)

func (w *world) statistics(t *testing.T, ref string) *planning.Statistics {
	t.Helper()
	require.NoError(t, w.gatherer.Report(context.Background()))
	s, err := w.service.StatisticsOf(context.Background(), ref)
	require.NoError(t, err)
	return s
}

func TestStatisticsFollowWhatIsWritten(t *testing.T) { onBoth(t, followWhatIsWritten) }

func followWhatIsWritten(t *testing.T, w *world) {
	ctx := context.Background()
	id := w.shop(t, "toys")
	before := w.statistics(t, "toys")
	require.Zero(t, before.CountedAt)
	require.Zero(t, before.ActiveAt)
	require.Zero(t, before.P95)
	require.Equal(t, "one", before.Backend)

	w.write(t, id, addCounter, "a", "b", "c")
	w.write(t, id, dropCounter, "a")
	require.NoError(t, w.router.View(ctx, id, func(context.Context, backends.Tx) error { return nil }))
	s := w.statistics(t, "toys")
	require.EqualValues(t, 2, s.Rows("counters"))
	require.InDelta(t, 3.0/3600, s.RequestsPerSecond, 1e-9)
	require.InDelta(t, 2.0/3600, s.WritesPerSecond, 1e-9)
	require.Positive(t, s.P95)
	require.WithinDuration(t, time.Now(), time.UnixMicro(s.ActiveAt), time.Minute)

	w.write(t, id, keepCounter, "d") // an upsert: seen by the next count alone
	require.EqualValues(t, 2, w.statistics(t, "toys").Rows("counters"))
	require.NoError(t, w.gatherer.Count(ctx))
	s = w.statistics(t, string(id))
	require.EqualValues(t, 3, s.Rows("counters"))
	require.EqualValues(t, 3*(1+8), s.Bytes, "an id of one letter and a number")
	require.NotZero(t, s.CountedAt)

	w.write(t, id, addCounter, "e")
	s = w.statistics(t, "toys")
	require.EqualValues(t, 4, s.Rows("counters"))
	counted := s.CountedAt
	require.NoError(t, w.gatherer.Count(ctx))
	require.Equal(t, counted, w.statistics(t, "toys").CountedAt, "not counted again for a row")

	var many []string
	for n := range 1000 {
		many = append(many, fmt.Sprintf("row-%04d", n))
	}
	w.write(t, id, keepCounter, many...)
	require.EqualValues(t, 4, w.statistics(t, "toys").Rows("counters"))
	require.NoError(t, w.gatherer.Count(ctx))
	require.EqualValues(t, 1004, w.statistics(t, "toys").Rows("counters"), "so many changes are counted again")
}

func TestStatisticsArePaged(t *testing.T) { onBoth(t, arePaged) }

func arePaged(t *testing.T, w *world) {
	ctx := context.Background()
	want := map[backends.StorefrontID]int64{}
	for n := range int64(5) {
		id := w.shop(t, fmt.Sprintf("shop-%d", n))
		for row := range n {
			w.write(t, id, addCounter, fmt.Sprint(row))
		}
		want[id] = n
	}
	require.NoError(t, w.gatherer.Report(ctx))
	got := map[backends.StorefrontID]int64{}
	for after := ""; ; {
		page, err := w.service.Statistics(ctx, after, 2)
		require.NoError(t, err)
		for _, s := range page {
			got[s.Storefront] = s.Rows("counters")
			after = string(s.Storefront)
		}
		if len(page) < 2 {
			break
		}
	}
	require.Equal(t, want, got)
	_, err := w.service.StatisticsOf(ctx, "nobody")
	require.ErrorIs(t, err, planning.ErrNoStatistics)
}

// TestAnHourIsForgottenAfterAWeek: its slot is used anew, and a late report of the
// old week changes nothing.
func TestAnHourIsForgottenAfterAWeek(t *testing.T) { onBoth(t, hourIsForgotten) }

func hourIsForgotten(t *testing.T, w *world) {
	id := w.shop(t, "toys")
	now := time.Now()
	for _, r := range []struct {
		at   time.Time
		n    int64
		want float64
	}{{now.Add(-7 * 24 * time.Hour), 7200, 0}, {now, 3600, 1}, {now, 3600, 2}, {now.Add(-7 * 24 * time.Hour), 9999, 2}} {
		w.router.Traffic().Add(id, backends.Traffic{Requests: r.n, At: r.at})
		require.InDelta(t, r.want, w.statistics(t, "toys").RequestsPerSecond, 1e-9)
	}
}

func TestAPolicyProposesForTheFleet(t *testing.T) { onBoth(t, proposesForTheFleet) }

func proposesForTheFleet(t *testing.T, w *world) {
	ctx := context.Background()
	for n := range 4 {
		id := w.shop(t, fmt.Sprintf("shop-%d", n))
		for row := range n {
			w.write(t, id, addCounter, fmt.Sprint(row))
		}
	}
	require.NoError(t, w.gatherer.Report(ctx))
	require.NoError(t, w.gatherer.Count(ctx))
	const policy = "rules: [{name: some, all: [counters > 1], to: two}]"
	v, err := w.service.Propose(ctx, policy)
	require.NoError(t, err)
	require.Equal(t, []string{"shop-2 -> two (some)", "shop-3 -> two (some)"}, proposed(v))

	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`INSERT INTO moves (id, storefront_id, source_backend, source_made_at_epoch, target_backend, target_made_at_epoch, source_epoch,
			phase, resume_phase, cut, intent, gen, owner, lease_until, options, stats, cause, advice, receipt, requested_by, reason, created_at, updated_at, ended_at)
			VALUES ('m', $1, 'one', 1, 'two', 2, 1, 'copying', '', '', '', 1, '', 0, '{}', '{}', '', '', '', '', '', 0, 0, NULL)`, string(v.Proposals[0].Storefront))
		return err
	}))
	v, err = w.service.Propose(ctx, policy)
	require.NoError(t, err)
	require.Equal(t, []string{"shop-3 -> two (some)"}, proposed(v))
	require.Equal(t, 1, v.Moving)
	_, err = w.service.Propose(ctx, "rules: [{name: some, all: [customers > 1], to: two}]")
	require.Equal(t, fault.Invalid, fault.Of(err).Kind, "there is no such table here")
}
