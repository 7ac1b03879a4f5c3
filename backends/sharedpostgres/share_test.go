package sharedpostgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/backends/storetest"
	"smartseller/platform/ids"
)

// TestCrowdOfOneStorefront: whatever its customers do at once, those of another one are
// answered, and who gets no turn is told so in time.
func TestCrowdOfOneStorefront(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := openBackend(t, storetest.Catalog(t), config(t, false))
	var shops [2]backends.Store
	for i := range shops {
		p := backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
		require.NoError(t, b.Create(ctx, p))
		s, err := b.Open(ctx, p)
		require.NoError(t, err)
		require.NoError(t, s.Found(ctx, 1))
		require.NoError(t, s.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(add, "a", 1)
			return err
		}))
		shops[i] = s
	}
	crowded, other := shops[0], shops[1]
	release, ended := make(chan struct{}), make(chan error)
	const share = 12
	for range share {
		begun := make(chan struct{})
		go func() {
			ended <- crowded.Update(ctx, 1, func(context.Context, backends.Tx) error {
				close(begun)
				<-release
				return nil
			})
		}()
		<-begun
	}
	var v int64
	late := make(chan error)
	go func() { late <- crowded.Get(ctx, 1, &v, get, "a") }()
	for range 2 * share {
		var v int64
		require.NoError(t, other.Get(ctx, 1, &v, get, "a"))
		require.NoError(t, other.View(ctx, 1, func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, get, "a") }))
		require.NoError(t, other.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, bump, "a") }))
	}
	err := <-late
	require.ErrorIs(t, err, sqlstore.ErrContended)
	require.ErrorContains(t, err, "one of the 12 connections of the storefront did not become free in 5s; held longest by Update, for ")
	close(release)
	for range share {
		require.NoError(t, <-ended)
	}
	require.NoError(t, crowded.Get(ctx, 1, &v, get, "a"))
}
