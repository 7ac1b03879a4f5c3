package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/dedicatedpostgres"
	"smartseller/backends/postgres"
	"smartseller/backends/sqlite"
	"smartseller/platform/crypto"
	"smartseller/platform/database"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/pgtest"
)

// TestEveryStatementPreparesEverywhere: a statement that one engine does not
// understand would fail after a move, and not before.
func TestEveryStatementPreparesEverywhere(t *testing.T) {
	t.Parallel()
	for kind, at := range openPlaces(t) {
		for _, s := range backends.Statements() {
			for _, form := range forms(t, s) {
				text := at.text(form)
				require.NoError(t, prepare(at.db, text), "%s on %s: %s", s.Site, kind, text)
			}
		}
	}
}

// TestEveryReadEntersByItself: wherever a module asks for one row alone, Postgres
// needs no storefront to plan the text that enters, reads and leaves, whether it
// plans for the values at hand or for any.
func TestEveryReadEntersByItself(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	id := s.founded(t)
	s.fill(t, id)
	_, err := s.admin.Exec(`ANALYZE`)
	require.NoError(t, err)
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		pools, err := postgres.OpenPools(s.dsn+"&plan_cache_mode="+mode, s.dsn, false, 1)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pools.Close()) })
		dialect := &postgres.Dialect{Pools: pools}
		for _, st := range backends.Statements() {
			if st.Kind != backends.ReadStatement {
				continue
			}
			for _, form := range forms(t, st) {
				args := append([]any{string(id)}, arguments(form.Text())...)
				require.Contains(t, alone(t, dialect, form, args), "1 active]", "%s: %s", st.Site, mode)
			}
		}
	}
}

// TestCutoverFindsStatementsPrepared: who comes to a place at once, when a storefront has moved there,
// finds connections that each know every statement.
func TestCutoverFindsStatementsPrepared(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	id := s.founded(t)
	pools, err := postgres.OpenPools(s.dsn, s.dsn, false, 2)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pools.Close()) })
	prepared := func() (each [2]int) {
		ctx := database.WithAlone(context.Background())
		for i := range each {
			c, err := pools.App.Conn(ctx)
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }() // until then the next one is the other one
			require.NoError(t, c.QueryRowContext(ctx, `SELECT count(*) FROM pg_prepared_statements WHERE name <> $1`, "").Scan(&each[i]))
		}
		return each
	}
	dialect := &postgres.Dialect{Pools: pools}
	require.NoError(t, dialect.Warm(context.Background()))
	before := prepared()
	require.Equal(t, before[0], before[1])
	texts := map[string]bool{}
	for _, st := range backends.Statements() {
		texts[st.Postgres()] = true
		if st.Kind == backends.ReadStatement {
			texts["entering "+st.Postgres()] = true
		}
	}
	require.Equal(t, len(texts)+1, before[0], "and what counts them")
	for _, st := range backends.Statements() {
		if st.Kind == backends.ReadStatement {
			alone(t, dialect, st, append([]any{string(id)}, arguments(st.Text())...))
		}
	}
	require.Equal(t, before, prepared(), "what was asked was prepared already")
}

func alone(t *testing.T, dialect *postgres.Dialect, s *backends.Statement, args []any) string {
	t.Helper()
	rows, err := dialect.Read(context.Background(), s, args)
	require.NoError(t, err, s.Site)
	defer rows.Close()
	found, err := readAll(rows)
	require.NoError(t, err, s.Site)
	return string(found)
}

func prepare(db *sql.DB, text string) error {
	s, err := db.Prepare(text)
	if err != nil {
		return err
	}
	defer s.Close()
	return nil
}

var listArgument = regexp.MustCompile(`IN \(\$([0-9]+)\)`)

// forms are the shapes that one declared statement is run in: as it stands, for
// several rows, and with lists of several values.
func forms(t *testing.T, s *backends.Statement) []*backends.Statement {
	t.Helper()
	out := []*backends.Statement{s}
	if rows, _, err := s.ForRows(4); err == nil {
		out = append(out, rows)
	}
	args := arguments(s.Text())
	for _, found := range listArgument.FindAllStringSubmatch(s.Text(), -1) {
		n, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		args[n-2] = backends.List{"a", "b"}
	}
	lists, _, err := s.ForLists(args)
	require.NoError(t, err)
	if lists != s {
		out = append(out, lists)
	}
	return out
}

var parameter = regexp.MustCompile(`\$([0-9]+)`)

// arguments are a value for each parameter but the first, of a kind that every
// column takes: a text, a number, bytes and a yes.
func arguments(text string) []any {
	greatest := 1
	for _, found := range parameter.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(found[1])
		greatest = max(greatest, n)
	}
	args := make([]any, greatest-1)
	for i := range args {
		args[i] = "1"
	}
	return args
}

// everyKind is a backend of each kind with the program's whole catalog; the files
// are in folder.
func everyKind(t *testing.T, folder string, shared *shared) []backends.Backend {
	t.Helper()
	catalog, err := NewCatalog()
	require.NoError(t, err)
	files, err := sqlite.Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: folder})
	require.NoError(t, err)
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	own, err := dedicatedpostgres.Opener(catalog, keys)(backends.Config{
		Name: "own", Kind: backends.DedicatedPostgres, AdminDSN: pgtest.ServerDSN(t),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(files.Close(), own.Close())) })
	all := []backends.Backend{files, own, shared.backend}
	var kinds []backends.Kind
	for _, b := range all {
		kinds = append(kinds, b.Kind())
	}
	require.ElementsMatch(t, backends.Kinds(), kinds, "everyKind has one of each kind")
	require.ElementsMatch(t, backends.Kinds(), slices.Collect(maps.Keys(openers(catalog, keys))), "openers opens each kind")
	return all
}

// behind is a place as its engine has it, and the text that statements have there.
type behind struct {
	db   *sql.DB
	text func(*backends.Statement) string
}

// openPlaces makes a place of every kind and opens it from behind.
func openPlaces(t *testing.T) map[backends.Kind]behind {
	t.Helper()
	ctx := context.Background()
	p := backends.Place{Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	folder, shared := t.TempDir(), newShared(t)
	for _, b := range everyKind(t, folder, shared) {
		require.NoError(t, b.Create(ctx, p))
		t.Cleanup(func() { require.NoError(t, b.Destroy(ctx, p)) })
	}
	file, err := database.OpenSQLite(ctx, filepath.Join(folder, string(p.Storefront), "1.db"), database.SQLiteOptions{})
	require.NoError(t, err)
	u, err := url.Parse(pgtest.ServerDSN(t))
	require.NoError(t, err)
	u.Path = "/ss_" + strings.ReplaceAll(string(p.Storefront), "-", "") + "_1"
	dedicated, err := sql.Open("postgres", u.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(file.Close(), dedicated.Close())) })
	onPostgres := (*backends.Statement).Postgres
	places := map[backends.Kind]behind{
		backends.SQLite:            {file.Writer, (*backends.Statement).SQLite},
		backends.DedicatedPostgres: {dedicated, onPostgres},
		backends.SharedPostgres:    {shared.admin, onPostgres},
	}
	require.Len(t, places, len(backends.Kinds()), "openPlaces has one of each kind")
	return places
}

// TestRowLevelSecurityAgainstEveryStatement runs every statement of every module
// with all its conditions made useless and another storefront bound, entered as a
// storefront that has no row: it must find what it would find in a database
// without the other's rows, and change nothing. That the attack is one is
// seen by the owner, whom row-level security does not hold: for him the other's
// rows make a difference.
func TestRowLevelSecurityAgainstEveryStatement(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	mine, other := s.founded(t), s.founded(t)
	attacks := map[*backends.Statement]string{}
	without := map[*backends.Statement]string{}
	for _, st := range backends.Statements() {
		attacks[st] = withoutConditions(st.Postgres())
		without[st] = s.asOwner(t, attacks[st], other)
	}
	s.fill(t, other)
	digest := s.digest(t, other)
	for st, attack := range attacks {
		held := s.asApplication(t, mine, attack, other)
		if strings.HasPrefix(attack, "INSERT") {
			require.Equal(t, "error 42501", held, "%s: a row of another storefront was made", st.Site)
		} else {
			require.Equal(t, without[st], held, "%s: row-level security lets %s through", st.Site, attack)
			require.NotEqual(t, without[st], s.asOwner(t, attack, other), "%s: the test does not attack with %s", st.Site, attack)
		}
	}
	require.Equal(t, digest, s.digest(t, other))
}

// asApplication runs a text as the application, entered in a storefront, with
// another one bound, commits it, and says what came of it.
func (s *shared) asApplication(t *testing.T, entered backends.StorefrontID, text string, bound backends.StorefrontID) string {
	t.Helper()
	entry := &database.Entry{Text: fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT smartseller_enter('%s', 1, 5000)", entered)}
	tx, err := s.app.BeginTx(database.WithEntry(context.Background(), entry), nil)
	require.NoError(t, err)
	found := outcome(t, tx, text, bound)
	if err := tx.Commit(); !strings.HasPrefix(found, "error") {
		require.NoError(t, err)
	}
	return found
}

// asOwner runs a text as the owner, and takes back what it did.
func (s *shared) asOwner(t *testing.T, text string, bound backends.StorefrontID) string {
	t.Helper()
	tx, err := s.admin.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	return outcome(t, tx, text, bound)
}

// outcome is all that a text returned, or the code of its error.
func outcome(t *testing.T, tx *sql.Tx, text string, bound backends.StorefrontID) string {
	t.Helper()
	rows, err := tx.Query(text, append([]any{string(bound)}, arguments(text)...)...)
	if err == nil {
		defer rows.Close()
		var found []byte
		found, err = readAll(rows)
		if err == nil {
			return string(found)
		}
	}
	var refused *pq.Error
	require.ErrorAs(t, err, &refused, text)
	if refused.Code != "42501" { // others of its class say that a text is not understood
		require.NotEqual(t, "42", string(refused.Code.Class()), "%s: %v", text, err)
	}
	return "error " + string(refused.Code)
}

func readAll(rows *sql.Rows) (found []byte, err error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		found = fmt.Appendf(found, "%v\n", values)
	}
	return found, rows.Err()
}
