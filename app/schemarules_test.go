package app

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/migrations"
)

// TestTenantTablesKeepTheRules of CONTRIBUTING.md that nothing else would notice before
// two storefronts meet in one database, or a move meets rows in an order of its own.
func TestTenantTablesKeepTheRules(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.founded(t)
	for _, rule := range []struct{ text, broken string }{
		{"every key and index begins with storefront_id", `SELECT t.relname, k.relname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class k ON k.oid = i.indexrelid
			LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
			WHERE t.relnamespace = current_schema()::regnamespace AND a.attname IS DISTINCT FROM 'storefront_id'`},
		{"the primary key is (storefront_id, id)", `SELECT t.relname, k.relname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class k ON k.oid = i.indexrelid
			WHERE t.relnamespace = current_schema()::regnamespace AND i.indisprimary AND (SELECT array_agg(a.attname::text ORDER BY p.n)
				FROM unnest(i.indkey::int2[]) WITH ORDINALITY p(attnum, n) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = p.attnum) <> '{storefront_id,id}'`},
		{"there is no foreign key", `SELECT t.relname, c.conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
			WHERE t.relnamespace = current_schema()::regnamespace AND c.contype = 'f'`},
		{"no empty storefront_id", `SELECT t.relname, 'no CHECK' FROM pg_class t WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace AND NOT EXISTS (
			SELECT 1 FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'c' AND pg_get_constraintdef(c.oid) LIKE '%storefront_id <> ''''%')`},
	} {
		found := s.describe(t, rule.broken)
		for _, table := range s.catalog.Tables() {
			require.Empty(t, found[table.Name], "%s: %s", rule.text, table.Name)
		}
	}
}

var (
	declares = regexp.MustCompile(`\bCHECK \(|\bPRIMARY KEY\b|\bUNIQUE \(`)
	named    = regexp.MustCompile(`\bCONSTRAINT [a-z_]+ (CHECK|PRIMARY KEY|UNIQUE)\b`)
)

// TestConstraintsAreNamed: the engines would give them names of their own, and a conflict
// would be called differently on each.
func TestConstraintsAreNamed(t *testing.T) {
	t.Parallel()
	files, err := migrations.Tenant(migrations.SQLite)
	require.NoError(t, err)
	names, err := fs.Glob(files, "*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		for line := range strings.Lines(string(content)) {
			require.Len(t, named.FindAllString(line, -1), len(declares.FindAllString(line, -1)), "%s: a constraint without a name: %s", name, line)
		}
	}
}
