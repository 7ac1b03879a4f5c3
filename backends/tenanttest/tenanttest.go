// Package tenanttest gives tests of modules a real tenant store of their own, and says
// what the tenant schema lets rows hold.
package tenanttest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

// Store is a backends.TenantStore of storefronts that never move.
type Store struct {
	backend backends.Backend
	places  map[backends.StorefrontID]backends.Store
}

var _ backends.TenantStore = (*Store)(nil)

// SQLite keeps each storefront in a file of its own.
func SQLite(t testing.TB, tables ...*backends.Table) *Store {
	return open(t, sqlite.Opener, backends.Config{Name: "tenants", Kind: backends.SQLite, Path: t.TempDir()}, tables)
}

// Postgres keeps all storefronts in one shared database; the package's TestMain must
// be pgtest.Main.
func Postgres(t testing.TB, tables ...*backends.Table) *Store {
	admin := pgtest.Database(t)
	cfg := backends.Config{Name: "tenants", Kind: backends.SharedPostgres, AdminDSN: admin, DSN: pgtest.Role(t, admin, "")}
	return open(t, sharedpostgres.Opener, cfg, tables)
}

func open(t testing.TB, opener func(*backends.Catalog) backends.Opener, cfg backends.Config, tables []*backends.Table) *Store {
	t.Helper()
	catalog, err := backends.NewCatalog(tables...)
	require.NoError(t, err)
	b, err := opener(catalog)(cfg)
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
	p := backends.Place{Backend: "tenants", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
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

// Get implements backends.TenantStore.
func (s *Store) Get(ctx context.Context, storefront backends.StorefrontID, dst any, st *backends.Statement, args ...any) error {
	place := s.places[storefront]
	if place == nil {
		return backends.ErrNoStorefront
	}
	return place.Get(ctx, 1, dst, st, args...)
}
