package backends_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

var (
	addPlain    = backends.Write(visits, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, 0)`)
	addOnce     = backends.Write(visits, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, 0) ON CONFLICT (storefront_id, id) DO NOTHING`)
	raise       = backends.Write(visits, `UPDATE counters SET value = value + 1 WHERE storefront_id = $1 AND id = $2 RETURNING value`)
	dropCounter = backends.Write(visits, `DELETE FROM counters WHERE storefront_id = $1 AND id = $2`)
)

// TestTrafficIsWhatWasCommitted counts rows by what statements say they did.
func TestTrafficIsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t, 4)
	id := w.storefront(t)
	undone := errors.New("undone")
	update := func(want error, fn func(tx backends.Tx) error) {
		t.Helper()
		require.ErrorIs(t, w.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error { return errors.Join(fn(tx), want) }), want)
	}
	update(nil, func(tx backends.Tx) error {
		_, many := tx.ExecMany(addPlain, [][]any{{"a"}, {"b"}, {"c"}})
		_, none := tx.Exec(addOnce, "a")
		var v int64
		return errors.Join(many, none, tx.Get(&v, raise, "a"))
	})
	update(nil, func(tx backends.Tx) error {
		_, gone := tx.Exec(dropCounter, "b")
		var v []int64
		return errors.Join(gone, tx.Select(&v, raise, "c"))
	})
	update(undone, func(tx backends.Tx) error {
		_, err := tx.Exec(addPlain, "d")
		return err
	})
	require.NoError(t, w.router.View(ctx, id, func(context.Context, backends.Tx) error { return nil }))
	require.ErrorIs(t, w.router.View(ctx, "nobody", func(context.Context, backends.Tx) error { return nil }), backends.ErrNoStorefront)

	taken, missed := w.router.Traffic().Take()
	require.Zero(t, missed)
	require.Len(t, taken, 1)
	at := slices.Collect(maps.Keys(taken))[0]
	require.Equal(t, id, at.Storefront)
	got := taken[at]
	require.Equal(t, got.At.Unix()/3600, at.Hour)
	require.EqualValues(t, 4, got.Requests)
	require.EqualValues(t, 2, got.Writes)
	require.Equal(t, map[string]backends.Changes{"counters": {Added: 2, Written: 6}}, got.Tables)
	var sum int64
	for _, n := range got.Latency {
		sum += n
	}
	require.EqualValues(t, 4, sum)
	require.WithinDuration(t, time.Now(), got.At, time.Minute)

	again, _ := w.router.Traffic().Take()
	require.Empty(t, again)
}

// TestTrafficMeterIsBounded: it says early that it fills, and what it missed.
func TestTrafficMeterIsBounded(t *testing.T) {
	t.Parallel()
	m := backends.NewTrafficMeter(time.Now)
	for n := range backends.MaxMetered + 5 {
		m.Add(backends.StorefrontID(time.Duration(n).String()), backends.Traffic{Requests: 1})
	}
	<-m.Full()
	shops, missed := m.Take()
	require.Len(t, shops, backends.MaxMetered)
	require.EqualValues(t, 5, missed)
}

// TestTrafficKeepsHoursApart: what could not be reported for hours is not of one hour.
func TestTrafficKeepsHoursApart(t *testing.T) {
	t.Parallel()
	m := backends.NewTrafficMeter(time.Now)
	noon := time.Unix(12*3600, 0)
	for _, at := range []time.Duration{0, 59 * time.Minute, time.Hour, 2 * time.Hour} {
		m.Add("shop", backends.Traffic{Requests: 1, At: noon.Add(at)})
	}
	taken, _ := m.Take()
	var asked []int64
	for hour := int64(12); hour < 15; hour++ {
		asked = append(asked, taken[backends.StorefrontHour{Storefront: "shop", Hour: hour}].Requests)
	}
	require.Equal(t, []int64{2, 1, 1}, asked)
}
