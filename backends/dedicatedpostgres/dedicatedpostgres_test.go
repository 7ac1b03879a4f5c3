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
	storetest.Run(t, newBackend)
}

func BenchmarkTransaction(b *testing.B) { storetest.Benchmark(b, newBackend) }

func newBackend(t testing.TB, catalog *backends.Catalog) backends.Backend {
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	b, err := dedicatedpostgres.Opener(catalog, keys)(backends.Config{
		Name: "dedicated", Kind: backends.DedicatedPostgres, AdminDSN: pgtest.ServerDSN(t),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}
