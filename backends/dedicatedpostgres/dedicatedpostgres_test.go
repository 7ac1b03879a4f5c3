package dedicatedpostgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/dedicatedpostgres"
	"smartseller/backends/storetest"
	"smartseller/platform/crypto"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	storetest.Run(t, func(t *testing.T, catalog *backends.Catalog) backends.Backend {
		b, err := dedicatedpostgres.Opener(catalog, keys)(backends.Config{
			Name: "dedicated", Kind: backends.DedicatedPostgres, AdminDSN: pgtest.ServerDSN(t),
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Close()) })
		return b
	})
}
