package dedicatedpostgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/dedicatedpostgres"
	"smartseller/backends/storetest"
	"smartseller/platform/crypto"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

// TestDestroyWhileOthersAreThere: other instances still hold connections to a place that is
// destroyed, as its role and as the administrator's, who is no superuser. These are ended;
// nobody waits until they are idle for long enough.
func TestDestroyWhileOthersAreThere(t *testing.T) {
	t.Parallel()
	for name, attributes := range map[string]string{
		"a careful operator's role":       "CREATEDB CREATEROLE",
		"a superuser, who needs no right": "SUPERUSER",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			admin := pgtest.Role(t, pgtest.ServerDSN(t), attributes)
			keys, err := crypto.New(make([]byte, 32))
			require.NoError(t, err)
			catalog := storetest.Catalog(t)
			instance := func() backends.Backend {
				b, err := dedicatedpostgres.Opener(catalog, keys)(backends.Config{Name: "dedicated", Kind: backends.DedicatedPostgres, AdminDSN: admin})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, b.Close()) })
				return b
			}
			mover, other := instance(), instance()
			p := backends.Place{Backend: "dedicated", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
			require.NoError(t, mover.Create(ctx, p))
			there, err := other.Open(ctx, p)
			require.NoError(t, err)
			defer func() { require.NoError(t, there.Close()) }()
			require.NoError(t, there.Found(ctx, 1))
			visit := func() error {
				return there.View(ctx, 1, func(context.Context, backends.Tx) error { return nil })
			}
			require.NoError(t, visit())

			require.NoError(t, mover.Destroy(ctx, p))
			require.Error(t, visit())
			_, err = other.Open(ctx, p)
			require.ErrorIs(t, err, backends.ErrNoPlace)
		})
	}
}

// TestDestroyNamesWhoMustLeave: a superuser's session is nobody's to end.
func TestDestroyNamesWhoMustLeave(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	b, err := dedicatedpostgres.Opener(storetest.Catalog(t), keys)(backends.Config{
		Name: "dedicated", Kind: backends.DedicatedPostgres, AdminDSN: pgtest.Role(t, pgtest.ServerDSN(t), "CREATEDB CREATEROLE"),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	p := backends.Place{Backend: "dedicated", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, b.Create(ctx, p))
	u, err := url.Parse(pgtest.ServerDSN(t))
	require.NoError(t, err)
	u.Path = "/ss_" + strings.ReplaceAll(string(p.Storefront), "-", "") + "_1"
	stranger, err := sql.Open("postgres", u.String())
	require.NoError(t, err)
	var pid int
	require.NoError(t, stranger.QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&pid))
	require.ErrorContains(t, b.Destroy(ctx, p), fmt.Sprintf("process %d of the role %s is in the database", pid, u.User.Username()))
	require.NoError(t, stranger.Close())
	require.NoError(t, b.Destroy(ctx, p))
}
