package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// RunOutage takes the database of a place away and brings it back, again and again: what
// is asked meanwhile is told so, nothing that was acknowledged is lost, and whoever asks
// first afterwards is served by the store that was open all the time.
func RunOutage(t *testing.T, s Subject, catalog *backends.Catalog, away, back func(p backends.Place)) {
	ctx := context.Background()
	h := home{Subject: s, catalog: catalog}
	store := h.storefront(t)
	put(t, store, "a", 0)
	update := func() error {
		return store.Update(ctx, epoch, func(_ context.Context, tx backends.Tx) error {
			var v int64
			return tx.Get(&v, bumpCounter, "a")
		})
	}
	view := func() (v int64, err error) {
		return v, store.View(ctx, epoch, func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, getCounter, "a") })
	}
	var acknowledged int64
	for _, asked := range []bool{true, false, true} {
		require.NoError(t, update())
		acknowledged++
		away(store.Place())
		if asked {
			require.ErrorIs(t, update(), backends.ErrUnreachable)
			_, err := view()
			require.ErrorIs(t, err, backends.ErrUnreachable)
			_, err = store.Backlog(ctx)
			require.ErrorIs(t, err, backends.ErrUnreachable)
		}
		back(store.Place())
		require.NoError(t, update())
		acknowledged++
		v, err := view()
		require.NoError(t, err)
		require.Equal(t, acknowledged, v)
	}
}
