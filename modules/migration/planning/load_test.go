package planning_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// TestABackendCarriesItsOwnBusiestHour: two storefronts that are busy at different hours are
// no more at once than one of them is.
func TestABackendCarriesItsOwnBusiestHour(t *testing.T) { onBoth(t, carriesItsBusiestHour) }

func carriesItsBusiestHour(t *testing.T, w *world) {
	ctx := context.Background()
	w.fleet(t, 3)
	now := time.Now()
	for _, busy := range []struct {
		slug  string
		at    time.Time
		asked int64 // a second
	}{{"shop-0", now, 20}, {"shop-1", now.Add(-5 * time.Hour), 20}, {"shop-2", now.Add(-5 * time.Hour), 4}, {"shop-2", now.Add(-30 * time.Hour), 900}} {
		w.router.Traffic().Add(w.idOf(t, busy.slug), backends.Traffic{Requests: 3600 * busy.asked, Writes: 1800 * busy.asked, At: busy.at})
	}
	require.NoError(t, w.gatherer.Report(ctx))
	for capacity, says := range map[string]string{
		"writes_per_second: 15":                          "", // 12 in the busiest hour, and 22 in each one's own
		"writes_per_second: 14":                          "one carries 86 % of its writes_per_second and is relieved down to 60 %",
		"requests_per_second: 30":                        "",
		"requests_per_second: 28":                        "one carries 86 % of its requests_per_second and is relieved down to 60 %",
		"writes_per_second: 14, requests_per_second: 20": "one carries 120 % of its requests_per_second and is relieved down to 60 %",
	} {
		v, err := w.service.Propose(ctx, "hysteresis: 25%\nrebalance: {above: 80%, capacities: {one: {"+capacity+"}, two: {requests_per_second: 99}}}")
		require.NoError(t, err)
		if says == "" {
			require.Empty(t, v.Proposals, capacity)
			continue
		}
		require.NotEmpty(t, v.Proposals, capacity)
		require.Equal(t, says, v.Proposals[0].Reason)
	}
}

// TestABackendHoldsWhatOperatorsSaid.
func TestABackendHoldsWhatOperatorsSaid(t *testing.T) { onBoth(t, holdsWhatOperatorsSaid) }

func holdsWhatOperatorsSaid(t *testing.T, w *world) {
	ctx := context.Background()
	w.fleet(t, 4) // 0, 9, 18 and 27 bytes
	_, err := w.service.Propose(ctx, "rebalance: {above: 80%}")
	require.Contains(t, fault.Of(err).Fields[0].Detail, "smartseller backend capacity")
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error { // as of a Postgres
		_, err := tx.Exec(`UPDATE backends SET capacity_bytes = 60`)
		return err
	}))
	v, err := w.service.Propose(ctx, "rebalance: {above: 80%}")
	require.NoError(t, err)
	require.Equal(t, []string{"shop-3 -> two (rebalance)"}, proposed(v))
	require.Equal(t, "one carries 90 % of its bytes and is relieved down to 80 %", v.Proposals[0].Reason)
	v, err = w.service.Propose(ctx, "rebalance: {above: 80%, capacities: {one: {bytes: 70}, two: {}}}")
	require.NoError(t, err)
	require.Empty(t, v.Proposals, "the policy's own figure")
}

// TestWhatComesBringsItsOwnBusiestHour: that may fall into the target's.
func TestWhatComesBringsItsOwnBusiestHour(t *testing.T) {
	t.Parallel()
	p := policy(t, "rules: [{name: all, all: [customers > 9], from: files, to: shared-1}]", "rebalance: {above: 80%, capacities: {shared-1: {writes_per_second: 100}}}")
	there, too, comes := shop("there", "shared-1", 0), shop("too", "shared-1", 0), shop("comes", "files", 10)
	there.Writes, too.Writes = 60, 60
	words := vocabulary
	words.Busiest = map[string]planning.Asked{"shared-1": {Writes: 60}, "files": {Writes: 1}} // others of files ask less at that hour
	for writes, says := range map[float64]string{20: "", 21: "shared-1 would carry 81 % of its writes_per_second, more than 80 %"} {
		comes.Writes = writes
		v := planning.Evaluate([]*planning.Shop{there, too, comes}, words, p, noon)
		if says == "" {
			require.Equal(t, []string{"comes -> shared-1 (all)"}, proposed(v))
			continue
		}
		require.Contains(t, v.Unplaced[0].Reason, says)
	}
}
