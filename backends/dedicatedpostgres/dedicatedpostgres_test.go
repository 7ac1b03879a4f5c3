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
	"smartseller/platform/fault"
	"smartseller/platform/pgserver"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newBackend)
}

func TestOutage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server, err := pgserver.Start(ctx, pgserver.Options{})
	require.NoError(t, err)
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	catalog := storetest.Catalog(t)
	b, err := dedicatedpostgres.Opener(catalog, keys)(backends.Config{Name: "dedicated", Kind: backends.DedicatedPostgres, AdminDSN: server.AdminDSN()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(b.Close(), server.Stop())) })
	storetest.RunOutage(t, storetest.Subject{Backend: b}, catalog,
		func(backends.Place) { require.NoError(t, server.Kill()) },
		func(backends.Place) { require.NoError(t, server.Restart(ctx)) })
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

// TestRefusedConfigurations are told by the field, and wait for no server.
func TestRefusedConfigurations(t *testing.T) {
	t.Parallel()
	const good = "postgres://owner:x@127.0.0.1:1/postgres?sslmode=disable"
	for name, cfg := range map[string]backends.Config{
		"/admin_dsn": {AdminDSN: "127.0.0.1"},
		"/pooled":    {AdminDSN: good, Pooled: true},
	} {
		_, err := dedicatedpostgres.Opener(storetest.Catalog(t), nil)(cfg)
		require.Equal(t, name, fault.Of(err).Fields[0].Pointer)
	}
}
