package sharedpostgres_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/postgres"
	"smartseller/backends/storetest"
	"smartseller/platform/pgserver/pgtest"
)

// hindering are the findings that hinder the use of a backend, by their check.
func hindering(b backends.Backend) map[string]string {
	found := map[string]string{}
	for _, f := range b.Check(context.Background()) {
		if f.Hinders() {
			found[f.Check] = f.Problem
		}
	}
	return found
}

// TestIsolationIsProved by what the application's role can see, and not only by what
// is configured.
func TestIsolationIsProved(t *testing.T) {
	t.Parallel()
	const check = "rows of other storefronts"
	cfg := config(t, false)
	b := openBackend(t, storetest.Catalog(t), cfg)
	require.Empty(t, hindering(b), "there is no schema yet")
	_, admin := place(t, cfg)
	require.Empty(t, hindering(b))
	role, err := postgres.Role(cfg.DSN)
	require.NoError(t, err)
	role = pq.QuoteIdentifier(role)
	for _, c := range []struct{ harm, mend, problem string }{
		{
			`ALTER TABLE counters DISABLE ROW LEVEL SECURITY`, `ALTER TABLE counters ENABLE ROW LEVEL SECURITY`,
			"does not guard counters",
		},
		// As while another instance makes the schema: what is not guarded yet is not granted yet.
		{
			`REVOKE ALL ON counters FROM ` + role + `; ALTER TABLE counters DISABLE ROW LEVEL SECURITY`,
			`ALTER TABLE counters ENABLE ROW LEVEL SECURITY; GRANT ALL ON counters TO ` + role, "",
		},
		{
			`REVOKE SELECT ON counters FROM ` + role + `; ALTER TABLE counters DISABLE ROW LEVEL SECURITY`,
			`ALTER TABLE counters ENABLE ROW LEVEL SECURITY; GRANT ALL ON counters TO ` + role, "does not guard counters",
		},
		{`CREATE POLICY everybody ON counters USING (true)`, `DROP POLICY everybody ON counters`, "does not guard counters"},
		{
			`CREATE OR REPLACE FUNCTION smartseller_storefront() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT min(storefront_id) FROM fence'`, "",
			"sees rows of any storefront, of fence, counters",
		},
	} {
		_, err := admin.Exec(c.harm)
		require.NoError(t, err)
		if c.problem == "" {
			require.Empty(t, hindering(b), c.harm)
		} else {
			require.Contains(t, hindering(b)[check], c.problem, c.harm)
		}
		if c.mend == "" {
			break
		}
		_, err = admin.Exec(c.mend)
		require.NoError(t, err)
		require.Empty(t, hindering(b), c.mend)
	}

	all := openBackend(t, storetest.Catalog(t), backends.Config{
		Name: "all", Kind: backends.SharedPostgres, DSN: pgtest.Role(t, cfg.AdminDSN, "BYPASSRLS"), AdminDSN: cfg.AdminDSN,
	})
	require.Contains(t, hindering(all), "row-level security")
}

// TestUnreachableServerIsOneFinding: nothing else can be said of it.
func TestUnreachableServerIsOneFinding(t *testing.T) {
	t.Parallel()
	const nowhere = "postgres://app:topsecret@127.0.0.1:1/shop?sslmode=disable"
	b := openBackend(t, storetest.Catalog(t), backends.Config{Name: "gone", Kind: backends.SharedPostgres, DSN: nowhere, AdminDSN: nowhere})
	found := b.Check(context.Background())
	require.Len(t, found, 1)
	require.True(t, found[0].Hinders())
	require.NotEmpty(t, found[0].Fix)
	require.NotContains(t, found[0].Problem, "topsecret")
}

// TestLaterTablesAreGuarded: what a later version of the schema adds, or somebody laid
// open, is behind row-level security as soon as the application may use it.
func TestLaterTablesAreGuarded(t *testing.T) {
	t.Parallel()
	const check = "rows of other storefronts"
	cfg := config(t, false)
	b := openBackend(t, storetest.Catalog(t), cfg)
	_, admin := place(t, cfg)
	_, err := admin.Exec(`CREATE TABLE later (storefront_id TEXT NOT NULL, id TEXT NOT NULL);
		ALTER TABLE counters DISABLE ROW LEVEL SECURITY; DROP POLICY storefront ON customers; ALTER TABLE fence FORCE ROW LEVEL SECURITY`)
	require.NoError(t, err)
	require.Contains(t, hindering(b)[check], "does not guard counters, fence as it should")

	require.NoError(t, b.Upgrade(context.Background(), backends.Place{}))
	require.Empty(t, hindering(b))
	var guarded bool
	require.NoError(t, admin.QueryRow(`SELECT c.relrowsecurity AND count(p.oid) = 1 FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid
		WHERE c.oid = 'later'::regclass GROUP BY c.relrowsecurity`).Scan(&guarded))
	require.True(t, guarded)
}

// TestWrongRolesAreFoundBeforeThereIsATable: an empty database shows nothing of what its
// tables will be open to.
func TestWrongRolesAreFoundBeforeThereIsATable(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	quoted := func(dsn string) string {
		role, err := postgres.Role(dsn)
		require.NoError(t, err)
		return pq.QuoteIdentifier(role)
	}
	within := func(server, database string) string { // the one DSN's role, in the other's database
		to, err := url.Parse(server)
		require.NoError(t, err)
		at, err := url.Parse(database)
		require.NoError(t, err)
		to.Path = at.Path
		return to.String()
	}
	admin := pgtest.Database(t)
	owner, member := pgtest.Role(t, admin, ""), pgtest.Role(t, admin, "")
	server := open(t, admin)
	_, err := server.Exec("GRANT " + quoted(owner) + " TO " + quoted(member) + "; GRANT CREATE ON SCHEMA public TO " + quoted(owner))
	require.NoError(t, err)
	for name, c := range map[string]struct{ app, check, problem string }{
		"the owner":           {owner, "row-level security", "the role that owns the tables"},
		"a member of it":      {member, "row-level security", "the role that owns the tables"},
		"in another database": {within(pgtest.Role(t, admin, ""), pgtest.Database(t)), "rows of other storefronts", "another database than the owner's"},
		"one as it should be": {app: pgtest.Role(t, admin, "")},
	} {
		b := openBackend(t, storetest.Catalog(t), backends.Config{Name: "shared", Kind: backends.SharedPostgres, DSN: c.app, AdminDSN: owner})
		if c.check == "" {
			require.Empty(t, hindering(b), name)
			continue
		}
		require.Contains(t, hindering(b)[c.check], c.problem, name)
		if c.check == "row-level security" {
			require.ErrorContains(t, b.Create(ctx, backends.Place{}), c.problem, name)
		}
	}
}
