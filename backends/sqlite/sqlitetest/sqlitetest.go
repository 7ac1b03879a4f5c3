// Package sqlitetest keeps storefronts in files of their own for one test.
package sqlitetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/platform/ids"
)

// Store is a backends.TenantStore of storefronts that never move.
type Store struct {
	backend backends.Backend
	places  map[backends.StorefrontID]backends.Store
}

var _ backends.TenantStore = (*Store)(nil)

// New makes a store with these tables; the test closes it.
func New(t testing.TB, tables ...*backends.Table) *Store {
	t.Helper()
	catalog, err := backends.NewCatalog(tables...)
	require.NoError(t, err)
	b, err := sqlite.Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()})
	require.NoError(t, err)
	s := &Store{backend: b, places: map[backends.StorefrontID]backends.Store{}}
	t.Cleanup(func() {
		for _, place := range s.places {
			require.NoError(t, place.Close())
		}
		require.NoError(t, b.Close())
	})
	return s
}

// Storefront founds one. It must not run beside View or Update.
func (s *Store) Storefront(t testing.TB) backends.StorefrontID {
	t.Helper()
	ctx := context.Background()
	p := backends.Place{Backend: "files", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, s.backend.Create(ctx, p))
	place, err := s.backend.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, place.Found(ctx, p.Epoch))
	s.places[p.Storefront] = place
	return p.Storefront
}

// View implements backends.TenantStore.
func (s *Store) View(ctx context.Context, storefront backends.StorefrontID, fn func(context.Context, backends.Tx) error) error {
	place := s.places[storefront]
	if place == nil {
		return backends.ErrNoStorefront
	}
	return place.View(ctx, 1, fn)
}

// Update implements backends.TenantStore.
func (s *Store) Update(ctx context.Context, storefront backends.StorefrontID, fn func(context.Context, backends.Tx) error) error {
	place := s.places[storefront]
	if place == nil {
		return backends.ErrNoStorefront
	}
	return place.Update(ctx, 1, fn)
}
