package dedicatedpostgres_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
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

func newBackend(t testing.TB, catalog *backends.Catalog) storetest.Subject {
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	b, err := dedicatedpostgres.Opener(catalog, keys)(backends.Config{
		Name: "dedicated", Kind: backends.DedicatedPostgres, AdminDSN: pgtest.ServerDSN(t),
	})
	require.NoError(t, err)
	server, err := sql.Open("postgres", pgtest.ServerDSN(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(server.Close(), b.Close())) })
	return storetest.Subject{Backend: b, Unended: func(t testing.TB, p backends.Place) (n int) {
		require.NoError(t, server.QueryRowContext(context.Background(),
			`SELECT count(*) FROM pg_stat_activity WHERE datname LIKE $1 AND state LIKE 'idle in transaction%'`,
			"ss_"+strings.ReplaceAll(string(p.Storefront), "-", "")+"%").Scan(&n))
		return n
	}}
}
