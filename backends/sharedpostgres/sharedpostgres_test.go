package sharedpostgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/storetest"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, catalog *backends.Catalog) backends.Backend {
		admin := pgtest.Database(t)
		b, err := sharedpostgres.Opener(catalog)(backends.Config{
			Name: "shared", Kind: backends.SharedPostgres, DSN: pgtest.Role(t, admin, ""), AdminDSN: admin,
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Close()) })
		return b
	})
}

// TestRoleThatSeesEverythingIsRefused: with such a role the second wall is not there.
func TestRoleThatSeesEverythingIsRefused(t *testing.T) {
	t.Parallel()
	admin := pgtest.Database(t)
	for _, attributes := range []string{"BYPASSRLS", "SUPERUSER"} {
		b, err := sharedpostgres.Opener(storetest.Catalog(t))(backends.Config{
			Name: "shared", Kind: backends.SharedPostgres, DSN: pgtest.Role(t, admin, attributes), AdminDSN: admin,
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Close()) })
		err = b.Create(context.Background(), backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1})
		require.ErrorContains(t, err, "row-level security would not hold it")
	}
}
