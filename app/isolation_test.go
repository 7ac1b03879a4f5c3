package app

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/tenanttest"
	"smartseller/platform/database"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// shared is a shared Postgres with the program's whole catalog, seen from behind:
// its application role's own pool, on which a test can run what it likes.
type shared struct {
	backend backends.Backend
	catalog *backends.Catalog
	admin   *sql.DB
	app     *sql.DB
	dsn     string // of the application's role
}

func newShared(t *testing.T) *shared {
	t.Helper()
	catalog, err := NewCatalog()
	require.NoError(t, err)
	adminDSN := pgtest.Database(t)
	dsn := pgtest.Role(t, adminDSN, "")
	b, err := sharedpostgres.Opener(catalog)(backends.Config{Name: "shared", Kind: backends.SharedPostgres, DSN: dsn, AdminDSN: adminDSN})
	require.NoError(t, err)
	admin, err := sql.Open("postgres", adminDSN)
	require.NoError(t, err)
	app, err := database.OpenEntered(dsn, 0, 0, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, app.Close())
		require.NoError(t, admin.Close())
		require.NoError(t, b.Close())
	})
	return &shared{backend: b, catalog: catalog, admin: admin, app: app, dsn: dsn}
}

// storefront makes one with rows in every table that moves.
func (s *shared) storefront(t *testing.T) backends.StorefrontID {
	t.Helper()
	id := s.founded(t)
	s.fill(t, id)
	return id
}

// founded makes an empty one.
func (s *shared) founded(t *testing.T) backends.StorefrontID {
	t.Helper()
	id := backends.StorefrontID(ids.New())
	require.NoError(t, s.backend.Create(context.Background(), place(id)))
	require.NoError(t, s.open(t, id).Found(context.Background(), 1))
	return id
}

func place(id backends.StorefrontID) backends.Place {
	return backends.Place{Backend: "shared", Storefront: id, Epoch: 1}
}

func (s *shared) open(t *testing.T, id backends.StorefrontID) backends.Store {
	t.Helper()
	store, err := s.backend.Open(context.Background(), place(id))
	require.NoError(t, err)
	return store
}

// samples is how many rows fill puts into each table.
const samples = 2

func (s *shared) fill(t *testing.T, id backends.StorefrontID) {
	t.Helper()
	store, token, checks := s.open(t, id), backends.Token{Move: ids.New(), Gen: 1}, tenanttest.ReadChecks(t)
	require.NoError(t, store.Enlist(context.Background(), token))
	for _, table := range s.catalog.Moving() {
		b := backends.Batch{Rows: map[backends.Key]backends.Row{}}
		for n := range int64(samples) {
			k := backends.Key{Table: table.Name, ID: ids.New()}
			b.Keys, b.Rows[k] = append(b.Keys, k), sample(checks, table, k.ID, n)
		}
		require.NoError(t, store.Apply(context.Background(), token, b))
	}
}

// sample is a row whose numbers are n and whose texts differ from another row's, as far
// as the schema lets them.
func sample(checks tenanttest.Checks, table *backends.Table, id string, n int64) backends.Row {
	row := backends.Row{id}
	for _, c := range table.Columns[1:] {
		switch of := checks.Of(table, c.Name); {
		case of != nil:
			row = append(row, of(n))
		case c.Type == backends.Integer:
			row = append(row, n)
		case c.Type == backends.Bytes:
			row = append(row, []byte(id))
		default:
			row = append(row, checks.Fit(table, c.Name, id))
		}
	}
	return row
}

// digest is that of all rows of a storefront.
func (s *shared) digest(t *testing.T, id backends.StorefrontID) (sum backends.Digest) {
	t.Helper()
	require.NoError(t, s.open(t, id).Read(context.Background(), func(r backends.Reader) error {
		for _, table := range s.catalog.Moving() {
			rows, _, err := r.Scan(table, "", "", samples+1)
			require.NoError(t, err)
			require.Len(t, rows, samples, table.Name)
			for _, row := range rows {
				one, _, err := backends.DigestOf(table, row, nil)
				require.NoError(t, err)
				sum.Add(one)
			}
		}
		return nil
	}))
	return sum
}

// TestRowLevelSecurityAlone runs what a module that forgot its WHERE would run:
// inside one storefront nothing of another is read, changed or made, and without
// an entry everything is an error, never "no rows".
func TestRowLevelSecurityAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newShared(t)
	mine, other := s.storefront(t), s.storefront(t)
	entered := func(fn func(tx *sql.Tx) error) error {
		e := &database.Entry{Text: fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT smartseller_enter('%s', 1, 5000)", mine)}
		tx, err := s.app.BeginTx(database.WithEntry(ctx, e), nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		return fn(tx)
	}
	for _, table := range s.catalog.Moving() {
		require.NoError(t, entered(func(tx *sql.Tx) error {
			var n, foreign int
			require.NoError(t, tx.QueryRow(`SELECT count(*), count(*) FILTER (WHERE storefront_id <> $1) FROM `+table.Name, string(mine)).Scan(&n, &foreign))
			require.Equal(t, samples, n, table.Name)
			require.Zero(t, foreign, table.Name)
			for _, text := range []string{`UPDATE ` + table.Name + ` SET id = id`, `DELETE FROM ` + table.Name} {
				result, err := tx.Exec(text)
				require.NoError(t, err)
				changed, err := result.RowsAffected()
				require.NoError(t, err)
				require.EqualValues(t, samples, changed, "%s: its own rows alone", text)
			}
			return nil
		}), table.Name)
		require.ErrorContains(t, entered(func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE `+table.Name+` SET storefront_id = $1`, string(other))
			return err
		}), "row-level security", table.Name)

		for _, text := range []string{`SELECT count(*) FROM `, `DELETE FROM `} {
			tx, err := s.app.BeginTx(database.WithEntry(ctx, &database.Entry{Text: "BEGIN"}), nil)
			require.NoError(t, err)
			_, err = tx.Exec(text + table.Name)
			require.ErrorContains(t, err, "no storefront was entered", text+table.Name)
			require.NoError(t, tx.Rollback())
		}
	}
	_, err := s.app.Exec(`SELECT 1`)
	require.ErrorIs(t, err, database.ErrOutsideTransaction)
}

// TestCatalogIsTheSchema: a table or column that the catalog does not name would
// not move, and a unique key that it does not name would stop a mover by surprise.
func TestCatalogIsTheSchema(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.storefront(t)
	live := s.describe(t, `SELECT t.relname, a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END
		FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind NOT IN ('i', 'I', 'S') AND t.relname <> 'goose_db_version'`)
	keys := s.describe(t, `SELECT t.relname, k.relname || ' (' || (SELECT string_agg(a.attname, ', ' ORDER BY p.n)
				FROM unnest(i.indkey::int2[]) WITH ORDINALITY p(attnum, n) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = p.attnum)
			|| ') ' || COALESCE(pg_get_expr(i.indpred, i.indrelid), '')
		FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class k ON k.oid = i.indexrelid
		WHERE t.relnamespace = current_schema()::regnamespace AND i.indisunique AND NOT i.indisprimary`)
	var declared []string
	for _, table := range s.catalog.Tables() {
		declared = append(declared, table.Name)
	}
	require.ElementsMatch(t, declared, slices.Collect(maps.Keys(live)), "the catalog, and the tables and views of the schema")
	types := map[backends.Type]string{backends.Text: "text", backends.Integer: "bigint", backends.Bytes: "bytea"}
	for _, table := range s.catalog.Tables() {
		columns := []string{"storefront_id text NO"}
		for _, c := range table.Columns {
			columns = append(columns, c.Name+" "+types[c.Type]+" "+map[bool]string{true: "YES", false: "NO"}[c.Null])
		}
		var uniques []string
		for _, u := range table.Uniques {
			where := ""
			if u.Where != "" {
				where = "(" + u.Where + ")"
			}
			uniques = append(uniques, u.Name+" (storefront_id, "+strings.Join(u.Columns, ", ")+") "+where)
		}
		require.ElementsMatch(t, columns, live[table.Name], table.Name)
		require.ElementsMatch(t, uniques, keys[table.Name], table.Name)
	}
}

// describe collects, by table, what a query about the schema says.
func (s *shared) describe(t *testing.T, query string) map[string][]string {
	t.Helper()
	rows, err := s.admin.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	found := map[string][]string{}
	for rows.Next() {
		var table, text string
		require.NoError(t, rows.Scan(&table, &text))
		found[table] = append(found[table], text)
	}
	require.NoError(t, rows.Err())
	return found
}
