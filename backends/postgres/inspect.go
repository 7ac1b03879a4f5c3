package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/lib/pq"

	"smartseller/backends"
	"smartseller/platform/database"
	"smartseller/platform/ids"
)

// Inspect looks at what every Postgres backend needs of its server: that it answers,
// keeps time, and loses nothing. Where it does not answer, that is all there is to say.
func Inspect(ctx context.Context, admin *sql.DB, more ...func() backends.Finding) []backends.Finding {
	server := CheckServer(ctx, admin)
	if server.Problem != "" {
		return []backends.Finding{server}
	}
	out := []backends.Finding{server, checkClock(ctx, admin), checkDurability(ctx, admin), checkFailover(ctx, admin), checkSize(ctx, admin)}
	for _, check := range more {
		out = append(out, check())
	}
	return out
}

// CheckServer says whether the server answers and is new enough.
func CheckServer(ctx context.Context, owner *sql.DB) backends.Finding {
	f := backends.Finding{Check: "server"}
	var version int
	var refused *pq.Error
	err := owner.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, 'PostgreSQL ' || current_setting('server_version')`).Scan(&version, &f.Found)
	switch {
	case errors.As(err, &refused) && refused.Code.Class() == "28": // invalid authorization
		f.Problem, f.Fix = "the server does not let the role in: "+err.Error(), "correct the user and password in the DSN, or the server's pg_hba.conf"
	case err != nil:
		f.Problem, f.Fix = "the server does not answer: "+err.Error(), "start it, or correct the DSN"
	case version < 150000:
		f.Problem, f.Fix = "the server is older than PostgreSQL 15", "upgrade it"
	}
	return f
}

// unknown is a check that could not be made.
func unknown(f backends.Finding, err error) backends.Finding {
	f.Problem, f.Fix = "cannot be told: "+err.Error(), "give the administrator's role the right to look"
	return f
}

// checkClock compares the server's clock with this machine's.
func checkClock(ctx context.Context, admin *sql.DB) backends.Finding {
	f := backends.Finding{Check: "clock", Warning: true}
	var at int64
	asked := time.Now()
	err := admin.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`).Scan(&at)
	if err != nil {
		return unknown(f, err)
	}
	f.Found, f.Problem, f.Fix = backends.Skew(at, asked, time.Now())
	return f
}

// checkDurability: what was acknowledged must survive a crash of the server.
func checkDurability(ctx context.Context, admin *sql.DB) backends.Finding {
	f := backends.Finding{Check: "durability", Warning: true}
	var off []string
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		var value string
		if err := admin.QueryRowContext(ctx, `SELECT current_setting($1)`, setting).Scan(&value); err != nil {
			return unknown(f, err)
		}
		if value == "off" {
			off = append(off, setting)
		}
	}
	f.Found = "what was acknowledged survives a crash"
	if len(off) > 0 {
		f.Found = ""
		f.Problem, f.Fix = "acknowledged writes can be lost in a crash: off are "+strings.Join(off, ", "), "set them to on"
	}
	return f
}

// checkFailover: what was acknowledged must be on the server that takes over.
func checkFailover(ctx context.Context, admin *sql.DB) backends.Finding {
	f := backends.Finding{Check: "standbys", Warning: true}
	var all, synchronous int
	err := admin.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) FROM pg_stat_replication`).Scan(&all, &synchronous)
	if err != nil {
		return unknown(f, err)
	}
	f.Found = fmt.Sprintf("%d, of them %d synchronous", all, synchronous)
	if all > 0 && synchronous == 0 {
		f.Problem, f.Fix = "a failover can lose acknowledged writes: no standby is synchronous", "name one in synchronous_standby_names"
	}
	return f
}

func checkSize(ctx context.Context, admin *sql.DB) backends.Finding {
	f := backends.Finding{Check: "disk space"}
	var bytes int64
	if err := admin.QueryRowContext(ctx, `SELECT COALESCE(sum(pg_database_size(oid)), 0)::bigint FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')`).Scan(&bytes); err != nil {
		f.Warning = true
		return unknown(f, err)
	}
	f.Found = fmt.Sprintf("databases take %d MiB; how much room is left only the server's own machine can tell", bytes>>20)
	return f
}

// CheckIsolation proves that row-level security holds the application's role, not by
// what is configured alone: it looks, as that role, for rows that it must not see.
func CheckIsolation(ctx context.Context, admin *sql.DB, pools *Pools, catalog *backends.Catalog) backends.Finding {
	f := backends.Finding{Check: "rows of other storefronts"}
	// The fence has a row of every storefront, also of one that is empty.
	names := []string{backends.FenceTable.Name}
	for _, t := range catalog.Moving() {
		names = append(names, t.Name)
	}
	elsewhere, err := apart(ctx, admin, pools.App)
	if err == nil && elsewhere {
		f.Problem, f.Fix = "the application's DSN leads to another database than the owner's", "name the same database in both"
		return f
	}
	var schema database.Schema
	if err == nil {
		schema, err = Schema(ctx, admin)
	}
	if err == nil && schema.Version == 0 {
		f.Found = "there is no schema yet: the first storefront brings it"
		return f
	}
	if err != nil {
		return unknown(f, err)
	}
	// What is being made at this moment is granted only when it is guarded.
	used, err := glimpse(ctx, pools.App, "BEGIN", granting(names, "SELECT, INSERT, UPDATE, DELETE"))
	if err == nil {
		open, err := unguarded(ctx, admin, used)
		if err != nil {
			return unknown(f, err)
		}
		if len(open) > 0 {
			f.Problem, f.Fix = "row-level security does not guard "+strings.Join(open, ", ")+" as it should", "smartseller schema upgrade, and drop policies that the program did not make"
			return f
		}
	}
	var granted []string
	if err == nil {
		granted, err = glimpse(ctx, pools.App, "BEGIN", granting(names, "SELECT"))
	}
	var seen []string
	if err == nil && len(granted) > 0 {
		seen, err = visible(ctx, pools.App, granted)
	}
	switch {
	case err != nil:
		f.Problem, f.Fix = "the application's role cannot look: "+err.Error(), "see that it may log in and that the schema is up to date: smartseller schema status"
	case len(seen) > 0:
		f.Problem = "the application's role sees rows of any storefront, of " + strings.Join(seen, ", ")
		f.Fix = "stop the servers; give the application a login role that owns nothing and has no BYPASSRLS, and drop policies that the program did not make"
	default:
		f.Found = fmt.Sprintf("%d tables show the application none of them", len(granted))
		if denied := len(names) - len(granted); denied > 0 {
			f.Found += fmt.Sprintf("; %d it may not read yet: the next storefront that is opened there completes the schema", denied)
		}
	}
	return f
}

// granting are those of some tables that exist and of which the session's role has any of
// the privileges.
func granting(tables []string, privileges string) string {
	quoted := make([]string, len(tables))
	for n, t := range tables {
		quoted[n] = pq.QuoteLiteral(t)
	}
	return "SELECT name FROM unnest(ARRAY[" + strings.Join(quoted, ", ") + "]) name WHERE has_table_privilege(to_regclass(quote_ident(name)), " + pq.QuoteLiteral(privileges) + ")"
}

// visible are the tables of which the application's role sees a row, though it is in no
// storefront that has one.
func visible(ctx context.Context, app *sql.DB, tables []string) ([]string, error) {
	looks := make([]string, len(tables))
	for n, t := range tables {
		looks[n] = "SELECT " + pq.QuoteLiteral(t) + " WHERE EXISTS (SELECT 1 FROM " + pq.QuoteIdentifier(t) + ")"
	}
	look := strings.Join(looks, " UNION ALL ")
	// As a storefront that does not exist: nothing is to be seen.
	seen, err := glimpse(ctx, app, "BEGIN; SET LOCAL smartseller.storefront = "+pq.QuoteLiteral(ids.New()), look)
	if err != nil || len(seen) > 0 {
		return seen, err
	}
	// As nobody: the policy raises at the first row.
	seen, err = glimpse(ctx, app, "BEGIN", look)
	var raised *pq.Error
	if errors.As(err, &raised) && raised.Code == "SS002" {
		err = nil
	}
	return seen, err
}

// apart says that two pools lead to different databases: each has advisory locks of its own.
func apart(ctx context.Context, owner, app *sql.DB) (bool, error) {
	tx, err := owner.BeginTx(ctx, nil)
	if err != nil {
		return false, classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	key := rand.Int64()
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, key); err != nil {
		return false, classify(err)
	}
	free, err := glimpse(ctx, app, "BEGIN", fmt.Sprintf("SELECT 'free' WHERE pg_try_advisory_xact_lock(%d)", key))
	return len(free) > 0, classify(err)
}

// unguarded are the tables that have no row-level security, or a policy that lets
// more than the storefront that was entered through, or one that keeps the owner out, who moves.
func unguarded(ctx context.Context, admin *sql.DB, tables []string) ([]string, error) {
	var open []string
	err := admin.QueryRowContext(ctx, `SELECT COALESCE(array_agg(t.relname::text ORDER BY t.relname), '{}') FROM (
			SELECT c.relname, c.relrowsecurity AND NOT c.relforcerowsecurity AS enabled, count(p.oid) AS policies,
				bool_and(p.polpermissive AND pg_get_expr(p.polqual, p.polrelid) = '(storefront_id = smartseller_storefront())') AS ours
			FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
			WHERE c.relname = ANY($1) AND c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
			GROUP BY c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity) t
		WHERE NOT t.enabled OR t.policies = 0 OR NOT t.ours`, pq.Array(tables)).Scan(pq.Array(&open))
	return open, classify(err)
}

// glimpse runs a query of names in a transaction that begins with a text.
func glimpse(ctx context.Context, pool *sql.DB, entry, query string) (names []string, err error) {
	s, err := begin(ctx, pool, entry)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Rollback() }()
	rows, err := s.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
