package sharedpostgres_test

import (
	"context"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/postgres"
	"smartseller/backends/storetest"
	"smartseller/platform/pgserver/pgtest"
)

// TestSightOfOtherSessions: an owner's role that is no superuser names who keeps a place
// from being sealed, says that it does not see more and what to do, and sees it then.
func TestSightOfOtherSessions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg := config(t, false)
	server := open(t, cfg.AdminDSN)
	cfg.AdminDSN = pgtest.Role(t, cfg.AdminDSN, "")
	owner, err := postgres.Role(cfg.AdminDSN)
	require.NoError(t, err)
	_, err = server.Exec("GRANT CREATE ON SCHEMA public TO " + pq.QuoteIdentifier(owner))
	require.NoError(t, err)
	store, _ := place(t, cfg)
	b := openBackend(t, storetest.Catalog(t), cfg)
	advice := func() (told backends.Finding) {
		for _, f := range b.Check(ctx) {
			require.False(t, f.Hinders(), "%+v", f)
			if f.Check == "sight of other sessions" {
				told = f
			}
		}
		return told
	}
	require.NoError(t, store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
		if _, err := tx.Exec(bump, "a"); err != nil {
			return err
		}
		held, err := store.Holders(ctx)
		require.NoError(t, err)
		require.Len(t, held, 1)
		grant := "GRANT pg_monitor TO " + owner // such a name needs no quotes
		require.Regexp(t, `^database process \d+ \(what it does and since when is hidden from this role: `+grant+`\)$`, held[0].String())
		require.Equal(t, "as a superuser: "+grant, advice().Fix)

		_, err = server.Exec(grant)
		require.NoError(t, err)
		require.Empty(t, advice().Problem)
		require.NotEmpty(t, advice().Found)
		held, err = store.Holders(ctx)
		require.NoError(t, err)
		require.Regexp(t, `^database process \d+, idle in transaction, \d+ s in its transaction$`, held[0].String())
		return nil
	}))
}
