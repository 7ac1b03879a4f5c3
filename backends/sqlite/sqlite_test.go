package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/backends/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newBackend)
}

func BenchmarkTransaction(b *testing.B) { storetest.Benchmark(b, newBackend) }

func newBackend(t testing.TB, catalog *backends.Catalog) backends.Backend {
	b, err := sqlite.Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()})
	require.NoError(t, err)
	return b
}
