package migration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/ids"
)

// injection is one corruption of one row.
type injection struct {
	kind     string
	t        *backends.Table
	key      string
	do, undo statement
}

type statement struct {
	text string
	args []any
}

func stated(text string, args ...any) statement { return statement{text, args} }

// kinds makes an injection of each kind; ok is false where a row does not lend itself to it.
var kinds = map[string]func(c *corruption, t *backends.Table, row backends.Row) (in injection, ok bool){
	"byte flipped":              (*corruption).flip,
	"row missing":               (*corruption).miss,
	"row doubled":               (*corruption).double,
	"another storefront's row":  (*corruption).foreign,
	"row under another's id":    (*corruption).stray,
	"microseconds cut off":      (*corruption).truncate,
	"value in the wrong column": (*corruption).swap,
}

func (c *corruption) storefront() string { return string(c.x.m.Storefront) }

func (c *corruption) set(t *backends.Table, row backends.Row, column int, value any) injection {
	text := "UPDATE " + t.Name + " SET " + t.Columns[column].Name + " = $3 WHERE storefront_id = $1 AND id = $2"
	return injection{t: t, key: row.Key(), do: stated(text, c.storefront(), row.Key(), value), undo: stated(text, c.storefront(), row.Key(), row[column])}
}

func (c *corruption) insert(t *backends.Table, storefront string, row backends.Row) injection {
	text, args := insertion(t, storefront, row)
	return injection{
		t: t, key: row.Key(), do: stated(text, args...),
		undo: stated("DELETE FROM "+t.Name+" WHERE storefront_id = $1 AND id = $2", storefront, row.Key()),
	}
}

// column picks one that suits.
func (c *corruption) column(t *backends.Table, suits func(n int) bool) (int, bool) {
	for _, n := range c.Perm(len(t.Columns)) {
		if n > 0 && suits(n) {
			return n, true
		}
	}
	return 0, false
}

// flip changes one bit, of a text by one that leaves it text.
func (c *corruption) flip(t *backends.Table, row backends.Row) (injection, bool) {
	n, ok := c.column(t, func(n int) bool { return row[n] != nil })
	if !ok {
		return injection{}, false
	}
	var value any
	switch v := row[n].(type) {
	case int64:
		value = v ^ 1<<c.IntN(40)
	case []byte:
		value = c.flipped(v)
	case string:
		value = string(c.flipped([]byte(v)))
	}
	return c.set(t, row, n, value), true
}

func (c *corruption) flipped(b []byte) []byte {
	b = slices.Clone(b)
	for {
		if i := c.IntN(len(b)); b[i] < 0x80 {
			b[i] ^= 1
			return b
		}
	}
}

func (c *corruption) miss(t *backends.Table, row backends.Row) (injection, bool) {
	in := c.insert(t, c.storefront(), row)
	in.do, in.undo = in.undo, in.do
	return in, true
}

// double adds the same row under another key; unique keys may forbid that.
func (c *corruption) double(t *backends.Table, row backends.Row) (injection, bool) {
	row = slices.Clone(row)
	row[0] = row.Key() + "-twin"
	return c.insert(t, c.storefront(), row), true
}

// foreign adds a row that the storefront never had.
func (c *corruption) foreign(t *backends.Table, _ backends.Row) (injection, bool) {
	return c.insert(t, c.storefront(), c.row(t, corruptedRows+c.IntN(1000))), true
}

// stray puts another storefront's row into a place that has none of them; in a shared
// database, where others are at home, it gives a row away to one.
func (c *corruption) stray(t *backends.Table, row backends.Row) (injection, bool) {
	other := ids.New()
	if c.alone {
		return c.insert(t, other, row), true
	}
	text := "UPDATE " + t.Name + " SET storefront_id = $2 WHERE storefront_id = $1 AND id = $3"
	return injection{t: t, key: row.Key(), do: stated(text, c.storefront(), other, row.Key()), undo: stated(text, other, c.storefront(), row.Key())}, true
}

func (c *corruption) truncate(t *backends.Table, row backends.Row) (injection, bool) {
	unit := []int64{1000, 1_000_000}[c.IntN(2)]
	n, ok := c.column(t, func(n int) bool {
		v, number := row[n].(int64)
		return number && strings.HasSuffix(t.Columns[n].Name, "_at") && v%unit != 0
	})
	if !ok {
		return injection{}, false
	}
	return c.set(t, row, n, row[n].(int64)/unit*unit), true
}

// swap exchanges the values of two columns of one type.
func (c *corruption) swap(t *backends.Table, row backends.Row) (injection, bool) {
	var b int
	a, ok := c.column(t, func(a int) (ok bool) {
		b, ok = c.column(t, func(b int) bool {
			return t.Columns[a].Type == t.Columns[b].Type && row[a] != nil && row[b] != nil && fmt.Sprint(row[a]) != fmt.Sprint(row[b])
		})
		return ok
	})
	if !ok {
		return injection{}, false
	}
	exchange := "UPDATE " + t.Name + " SET " + t.Columns[a].Name + " = $3, " + t.Columns[b].Name + " = $4 WHERE storefront_id = $1 AND id = $2"
	return injection{
		t: t, key: row.Key(), do: stated(exchange, c.storefront(), row.Key(), row[b], row[a]),
		undo: stated(exchange, c.storefront(), row.Key(), row[a], row[b]),
	}, true
}

// liveTables declares every table that moves, as the live schema has it: no column
// that a module may add is forgotten here.
func liveTables(t *testing.T) []*backends.Table {
	t.Helper()
	w := newWorld(t)
	i := w.instance(t, nil)
	id := i.storefront(t, 0)
	db := openRaw(t, w, backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	local := map[string]bool{}
	for _, table := range i.directory.Catalog().Tables() {
		local[table.Name] = table.Class == backends.Local
	}
	rows, err := db.Query(`SELECT m.name, c.name, c.type, c."notnull" FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) s WHERE s.name = 'storefront_id') ORDER BY m.name, c.cid`)
	require.NoError(t, err)
	defer rows.Close()
	byName := map[string]*backends.Table{}
	var tables []*backends.Table
	for rows.Next() {
		var name, column, kind string
		var notNull bool
		require.NoError(t, rows.Scan(&name, &column, &kind, &notNull))
		if local[name] || column == "storefront_id" {
			continue
		}
		if byName[name] == nil {
			byName[name] = &backends.Table{Name: name}
			tables = append(tables, byName[name])
		}
		types := map[string]backends.Type{"TEXT": backends.Text, "INTEGER": backends.Integer, "BLOB": backends.Bytes}
		byName[name].Columns = append(byName[name].Columns, backends.Column{Name: column, Type: types[kind], Null: !notNull})
	}
	require.NoError(t, rows.Err())
	require.Greater(t, len(tables), 12)
	for _, table := range tables {
		for _, c := range table.Columns {
			one, refers := strings.CutSuffix(c.Name, "_id")
			if parent := byName[one+"s"]; refers && parent != nil {
				table.References = append(table.References, backends.Reference{Column: c.Name, Table: parent.Name})
			}
		}
	}
	return tables
}

// fill puts random rows into every table of the source; row n of a table refers to the
// rows n of others.
func (c *corruption) fill(t *testing.T, w *world, id backends.StorefrontID) {
	t.Helper()
	db := openRaw(t, w, backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	c.tables = c.i.directory.Catalog().Moving()
	for _, table := range c.tables {
		if table.Name == CanaryTable.Name {
			continue // the move keeps it empty
		}
		for n := range corruptedRows {
			row := c.row(table, n)
			text, args := insertion(table, string(id), row)
			_, err := db.Exec(strings.ReplaceAll(text, "$", "?"), args...)
			require.NoError(t, err, "%s %v", table.Name, row)
			c.rows[table] = append(c.rows[table], row)
		}
	}
	c.tables = slices.DeleteFunc(slices.Clone(c.tables), func(table *backends.Table) bool { return len(c.rows[table]) == 0 })
}

func (c *corruption) row(t *backends.Table, n int) backends.Row {
	row := backends.Row{fmt.Sprintf("%s-%04d", t.Name, n)}
	for _, column := range t.Columns[1:] {
		row = append(row, c.value(t, column, n))
	}
	return row
}

func (c *corruption) value(t *backends.Table, column backends.Column, n int) any {
	for _, ref := range t.References {
		if ref.Column == column.Name {
			return fmt.Sprintf("%s-%04d", ref.Table, n)
		}
	}
	switch of := c.checks.Of(t, column.Name); {
	case column.Null && c.IntN(3) == 0:
		return nil
	case of != nil:
		return of(c.Int64N(1 << 40))
	case column.Type == backends.Integer && strings.HasSuffix(column.Name, "_at"):
		return 1_700_000_000_000_000 + c.Int64N(60_000_000_000_000)
	case column.Type == backends.Integer:
		return c.Int64N(1 << 40)
	}
	text := make([]rune, 6+c.IntN(20))
	for i := range text {
		text[i] = []rune("abcdefghijklmnopqrstuvwxyz0123456789 -_.éßあ")[c.IntN(43)]
	}
	if column.Type == backends.Bytes {
		return []byte(string(text))
	}
	return c.checks.Fit(t, column.Name, string(text))
}

func insertion(t *backends.Table, storefront string, row backends.Row) (text string, args []any) {
	names, marks := []string{"storefront_id"}, []string{"$1"}
	args = []any{storefront}
	for n, column := range t.Columns {
		names, marks, args = append(names, column.Name), append(marks, fmt.Sprintf("$%d", n+2)), append(args, row[n])
	}
	return "INSERT INTO " + t.Name + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")", args
}
