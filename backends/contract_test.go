package backends

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var shoes = &Table{Name: "shoes", Columns: []Column{T("id"), T("name"), I("size")}}

// TestStatementsThatBreakTheContract: a wrong one stops the program at start.
func TestStatementsThatBreakTheContract(t *testing.T) {
	t.Parallel()
	for name, declare := range map[string]func(){
		"no storefront":            func() { Read(`SELECT name FROM shoes WHERE id = $2`) },
		"storefront in one of two": func() { Read(`SELECT s.name FROM shoes s JOIN laces l ON l.shoe = s.id WHERE s.storefront_id = $1`) },
		"tables with commas":       func() { Read(`SELECT s.name FROM shoes s, laces l WHERE s.storefront_id = $1`) },
		"a table behind USING":     func() { Write(shoes, `DELETE FROM shoes USING laces WHERE storefront_id = $1`) },
		"inserts what it selects": func() {
			Write(shoes, `INSERT INTO shoes (storefront_id, id) SELECT $1, id FROM shoes WHERE storefront_id = $1 AND shoes.storefront_id = $1`)
		},
		"the id in a list":       func() { Write(shoes, `UPDATE shoes SET (name, id) = ($2, $3) WHERE storefront_id = $1`) },
		"another number":         func() { Read(`SELECT name FROM shoes WHERE storefront_id = $2 AND id = $1`) },
		"all columns":            func() { Read(`SELECT * FROM shoes WHERE storefront_id = $1`) },
		"two statements":         func() { Read(`SELECT name FROM shoes WHERE storefront_id = $1; SELECT 1`) },
		"a Read that writes":     func() { Read(`DELETE FROM shoes WHERE storefront_id = $1`) },
		"another table":          func() { Write(shoes, `DELETE FROM laces WHERE storefront_id = $1`) },
		"no table":               func() { Write(nil, `DELETE FROM shoes WHERE storefront_id = $1`) },
		"a Write that reads":     func() { Write(shoes, `SELECT name FROM shoes WHERE storefront_id = $1`) },
		"changes the id":         func() { Write(shoes, `UPDATE shoes SET name = $2, id = $3 WHERE storefront_id = $1`) },
		"changes the storefront": func() { Write(shoes, `UPDATE shoes SET storefront_id = $1 WHERE storefront_id = $1`) },
		"inserts elsewhere":      func() { Write(shoes, `INSERT INTO shoes (id, storefront_id) VALUES ($1, $2)`) },
	} {
		require.Panics(t, declare, name)
	}
}

func TestStatementTexts(t *testing.T) {
	t.Parallel()
	w := Write(shoes, `UPDATE shoes
		SET name = '$2 costs $3' || $2 WHERE storefront_id = $1`)
	require.Equal(t, `UPDATE shoes SET name = '$2 costs $3' || $2 WHERE storefront_id = $1 RETURNING id AS captured_key`, w.Postgres())
	require.Equal(t, `UPDATE shoes SET name = '$2 costs $3' || ?2 WHERE storefront_id = ?1 RETURNING id AS captured_key`, w.SQLite())
	own := Write(shoes, `DELETE FROM shoes WHERE storefront_id = $1 RETURNING name`)
	require.Equal(t, `DELETE FROM shoes WHERE storefront_id = $1 RETURNING name, id AS captured_key`, own.Postgres())
	l := Lock(`SELECT name FROM shoes WHERE storefront_id = $1`)
	require.Equal(t, `SELECT name FROM shoes WHERE storefront_id = $1 FOR UPDATE`, l.Postgres())
	require.Equal(t, `SELECT name FROM shoes WHERE storefront_id = ?1`, l.SQLite())
}

func TestWideStatements(t *testing.T) {
	t.Parallel()
	add := Write(shoes, `INSERT INTO shoes (storefront_id, id, name, size) VALUES ($1, $2, 'new', $3) ON CONFLICT (storefront_id, id) DO NOTHING`)
	two, width, err := add.ForRows(2)
	require.NoError(t, err)
	require.Equal(t, 2, width)
	require.Equal(t, `INSERT INTO shoes (storefront_id, id, name, size) VALUES (?1, ?2, 'new', ?3), (?1, ?4, 'new', ?5) ON CONFLICT (storefront_id, id) DO NOTHING RETURNING id AS captured_key`, two.SQLite())
	again, _, err := add.ForRows(2)
	require.NoError(t, err)
	require.Same(t, two, again)
	for _, wrong := range []*Statement{
		Write(shoes, `UPDATE shoes SET name = $2 WHERE storefront_id = $1`),
		Write(shoes, `INSERT INTO shoes (storefront_id, id) VALUES ($1, $2) RETURNING name`),
		Write(shoes, `INSERT INTO shoes (storefront_id, id, size) VALUES ($1, $2, $3 + 1)`),
		Write(shoes, `INSERT INTO shoes (storefront_id, id) VALUES ($1, $2) ON CONFLICT (storefront_id, id) DO UPDATE SET name = $3`),
	} {
		_, _, err := wrong.ForRows(2)
		require.Error(t, err, wrong.Text())
	}

	find := Lock(`SELECT name FROM shoes WHERE storefront_id = $1 AND id IN ($2) AND size > $3 AND name IN ($4)`)
	wide, args, err := find.ForLists([]any{List{"a", "b"}, 40, List{}})
	require.NoError(t, err)
	require.Equal(t, `SELECT name FROM shoes WHERE storefront_id = $1 AND id IN ($2, $5, $6, $7, $8, $9, $10, $11) AND size > $3 AND name IN ($4) FOR UPDATE`, wide.Postgres())
	require.Equal(t, []any{"a", 40, nil, "b", "b", "b", "b", "b", "b", "b"}, args)
	same, args, err := find.ForLists([]any{"a", 40, "x"})
	require.NoError(t, err)
	require.Same(t, find, same)
	require.Equal(t, []any{"a", 40, "x"}, args)
	for _, wrong := range [][]any{{"a", List{"b"}, "x"}, {make(List, MaxList+1), 40, "x"}} {
		_, _, err := find.ForLists(wrong)
		require.Error(t, err)
	}
}

func TestCatalogRefusesWrongDeclarations(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]*Table{
		"no id first":       {Name: "x", Columns: []Column{T("name")}},
		"id may be NULL":    {Name: "x", Columns: []Column{NT("id")}},
		"a column twice":    {Name: "x", Columns: []Column{T("id"), T("a"), T("a")}},
		"storefront_id":     {Name: "x", Columns: []Column{T("id"), T("storefront_id")}},
		"unique of unknown": {Name: "x", Columns: []Column{T("id")}, Uniques: []Unique{{Name: "u", Columns: []string{"b"}}}},
		"reference unknown": {Name: "x", Columns: []Column{T("id"), T("y")}, References: []Reference{{Column: "y", Table: "z"}}},
		"a name of ours":    {Name: "fence", Columns: []Column{T("id")}},
	} {
		_, err := NewCatalog(table)
		require.Error(t, err, name)
	}
	c, err := NewCatalog(shoes)
	require.NoError(t, err)
	require.Equal(t, []*Table{shoes}, c.Moving())
	require.Len(t, c.Tables(), 6)
}

// TestDigestTellsRowsApart: no two different rows have one digest, and the sum
// does not depend on order.
func TestDigestTellsRowsApart(t *testing.T) {
	t.Parallel()
	table := &Table{Name: "t", Columns: []Column{T("id"), NT("a"), NT("b"), NI("n"), NB("x")}}
	row := rapid.Custom(func(t *rapid.T) Row {
		r := Row{rapid.String().Draw(t, "id"), nil, nil, nil, nil}
		if rapid.Bool().Draw(t, "has a") {
			r[1] = rapid.String().Draw(t, "a")
		}
		if rapid.Bool().Draw(t, "has b") {
			r[2] = rapid.String().Draw(t, "b")
		}
		if rapid.Bool().Draw(t, "has n") {
			r[3] = rapid.Int64().Draw(t, "n")
		}
		if rapid.Bool().Draw(t, "has x") {
			r[4] = rapid.SliceOf(rapid.Byte()).Draw(t, "x")
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		one, other := row.Draw(t, "one"), row.Draw(t, "other")
		a, buf, err := DigestOf(table, one, nil)
		require.NoError(t, err)
		b, _, err := DigestOf(table, other, buf)
		require.NoError(t, err)
		require.Equal(t, same(one, other), a == b)
		ab, ba := a, b
		ab.Add(b)
		ba.Add(a)
		require.Equal(t, ab, ba)
	})
	null, _, err := DigestOf(table, Row{"1", nil, "", nil, nil}, nil)
	require.NoError(t, err)
	empty, _, err := DigestOf(table, Row{"1", "", nil, nil, nil}, nil)
	require.NoError(t, err)
	require.NotEqual(t, null, empty)
}

func same(a, b Row) bool {
	for i := range a {
		x, isBytes := a[i].([]byte)
		y, alsoBytes := b[i].([]byte)
		if isBytes != alsoBytes || isBytes && string(x) != string(y) || !isBytes && a[i] != b[i] {
			return false
		}
	}
	return true
}
