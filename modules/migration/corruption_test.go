package migration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/ids"
)

// What TestInjectedCorruption does, and to how many places of each kind.
const (
	corruptedRows = 30 // of each table
	ofFiles       = 500
	ofDatabases   = 270
)

// TestInjectedCorruption spoils, behind the program's back, a copy that is made and not
// yet verified: at random, one change at a time, which is undone before the next. Each
// must be found, and by each path on its own it is counted what it finds and what it
// misses. CORRUPTION_SEED repeats a run.
func TestInjectedCorruption(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CORRUPTION_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d", seed)
	for n, target := range []string{"two", "shared", "dedicated"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			many := ofDatabases
			if target == "two" {
				many = ofFiles
			}
			c := newCorruption(t, target, rand.New(rand.NewPCG(seed, uint64(n))))
			for range many {
				c.inject(t)
			}
			c.report(t)
			c.letGo(t)
		})
	}
}

// corruption is a storefront whose move stands still where its verification would begin.
type corruption struct {
	*rand.Rand
	i       *instance
	move    string
	release func()
	x       *run
	raw     *sql.DB // of the target, by the engine's own driver
	files   bool    // the target is a file
	alone   bool    // it belongs to one storefront
	rows    map[*backends.Table][]backends.Row
	tables  []*backends.Table
	tally   map[string]*tally // by kind of corruption
	refused int               // by the schema itself
}

// tally is how many were injected, and found by each path on its own.
type tally struct{ injected, rows, sums, references, strangers int }

func newCorruption(t *testing.T, target string, random *rand.Rand) *corruption {
	t.Helper()
	ctx := context.Background()
	w := newWideWorld(t)
	w.tables = liveTables(t)
	c := &corruption{Rand: random, files: target == "two", alone: target != "shared", rows: map[*backends.Table][]backends.Row{}, tally: map[string]*tally{}}
	waits, goOn := make(chan struct{}), make(chan struct{})
	arrive := sync.OnceFunc(func() { close(waits) })
	c.release = sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(c.release)
	c.i = w.instance(t, func(ctx context.Context, point string) error {
		if point != string(Verifying) {
			return nil
		}
		arrive()
		select {
		case <-goOn:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	id := c.i.storefront(t, 0)
	c.fill(t, w, id)
	m := startTo(t, c.i, id, target, Options{})
	require.Eventually(t, func() bool {
		var err error
		m, err = c.i.service.Get(ctx, m.ID)
		require.NoError(t, err)
		require.Nil(t, m.EndedAt, m.Cause)
		select {
		case <-waits:
			return true
		default:
			return false
		}
	}, waitLong, waitStep)
	c.move = m.ID
	c.x = &run{Runner: c.i.runner, m: m, token: m.token(), source: c.i.store(t, m.Source), target: c.i.store(t, m.Target)}
	c.x.intent.Store(NoIntent)
	c.x.pace = newPace(c.i.router.Latencies(), time.Now)
	c.raw = openRaw(t, w, m.Target)
	require.NoError(t, c.verdict(c.x.compareAll), "the copy is good before anybody spoils it")
	return c
}

func openRaw(t *testing.T, w *world, p backends.Place) *sql.DB {
	t.Helper()
	driver, dsn := "sqlite3", "file:"+filepath.Join(w.folder, p.Backend, string(p.Storefront), fmt.Sprintf("%d.db", p.Epoch))+"?_busy_timeout=10000"
	switch p.Backend {
	case "shared":
		driver, dsn = "postgres", databases.shared[0].admin
	case "dedicated":
		u, err := url.Parse(databases.server)
		require.NoError(t, err)
		u.Path = fmt.Sprintf("/ss_%s_%d", strings.ReplaceAll(string(p.Storefront), "-", ""), p.Epoch)
		driver, dsn = "postgres", u.String()
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
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
	switch {
	case column.Null && c.IntN(3) == 0:
		return nil
	case t.Name == "customers" && column.Name == "status":
		return []string{"active", "disabled"}[c.IntN(2)]
	case column.Type == backends.Integer && strings.HasSuffix(column.Name, "_at"):
		return 1_700_000_000_000_000 + c.Int64N(60_000_000_000_000)
	case column.Type == backends.Integer && flags[column.Name]:
		return c.Int64N(2)
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
	return string(text)
}

// flags are the columns that the schema lets hold 0 and 1 alone.
var flags = map[string]bool{
	"marketing": true, "tax_exempt": true, "is_default": true, "published": true, "backorder": true, "requires_shipping": true, "taxable": true,
}

func insertion(t *backends.Table, storefront string, row backends.Row) (text string, args []any) {
	names, marks := []string{"storefront_id"}, []string{"$1"}
	args = []any{storefront}
	for n, column := range t.Columns {
		names, marks, args = append(names, column.Name), append(marks, fmt.Sprintf("$%d", n+2)), append(args, row[n])
	}
	return "INSERT INTO " + t.Name + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")", args
}

// exec runs a statement at the target and says how many rows it wrote.
func (c *corruption) exec(text string, args ...any) (int64, error) {
	if c.files {
		text = strings.ReplaceAll(text, "$", "?")
	}
	result, err := c.raw.Exec(text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

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

// inject makes one corruption, of a random kind in a random row, lets every path judge
// on its own, and takes it back.
func (c *corruption) inject(t *testing.T) {
	t.Helper()
	in := c.injected(t)
	n := c.tally[in.kind]
	n.injected++
	what := fmt.Sprintf("%s: %s %s by %s", in.kind, in.t.Name, in.key, in.do.text)
	byRows, byStrangers := c.verdict(c.byRows), c.verdict(func(ctx context.Context, _, to backends.Store) error { return c.x.checkStrangers(ctx, to) })
	bySums, byReferences := c.verdict(c.bySums), c.verdict(c.byReferences)
	for count, found := range map[*int]error{&n.rows: byRows, &n.strangers: byStrangers, &n.sums: bySums, &n.references: byReferences} {
		if found != nil {
			*count++
		}
	}
	first := byRows
	if in.kind == "row under another's id" && c.alone {
		first = byStrangers
	}
	require.ErrorContains(t, first, in.t.Name+" "+in.key, what)
	written, err := c.exec(in.undo.text, in.undo.args...)
	require.NoError(t, err, what)
	require.EqualValues(t, 1, written, what)
}

func (c *corruption) injected(t *testing.T) injection {
	t.Helper()
	names := slices.Sorted(maps.Keys(kinds))
	for {
		kind, table := names[c.IntN(len(names))], c.tables[c.IntN(len(c.tables))]
		in, ok := kinds[kind](c, table, c.rows[table][c.IntN(corruptedRows)])
		if !ok {
			continue
		}
		in.kind = kind
		written, err := c.exec(in.do.text, in.do.args...)
		if err != nil { // a unique key or a CHECK is in the way: nothing happened
			c.refused++
			continue
		}
		require.EqualValues(t, 1, written, in.do.text)
		if c.tally[kind] == nil {
			c.tally[kind] = &tally{}
		}
		return in
	}
}

// The paths of verification, each on its own.
func (c *corruption) byRows(ctx context.Context, from, to backends.Store) error {
	for _, t := range c.tables {
		if _, err := c.x.compareTable(ctx, t, from, to); err != nil {
			return err
		}
	}
	return nil
}

func (c *corruption) bySums(ctx context.Context, from, to backends.Store) error {
	var unequal []*backends.Table
	for _, t := range c.tables {
		equal, err := c.x.sumsEqual(ctx, t, from, to)
		if err != nil {
			return err
		}
		if !equal {
			unequal = append(unequal, t)
		}
	}
	return c.x.compareSums(ctx, unequal, from, to)
}

func (c *corruption) byReferences(ctx context.Context, from, to backends.Store) error {
	for _, t := range c.tables {
		if err := c.x.checkReferences(ctx, t, from, to); err != nil {
			return err
		}
	}
	return nil
}

// verdict is what a path found; an error that is no finding ends the test.
func (c *corruption) verdict(path func(ctx context.Context, from, to backends.Store) error) error {
	err := path(context.Background(), c.x.source, c.x.target)
	var found *mismatchError
	if err != nil && !errors.As(err, &found) {
		panic(err)
	}
	return err
}

// report holds each path to what it promises. What sums miss is in the nature of sums:
// a byte for a byte, or a value for one that is as long.
func (c *corruption) report(t *testing.T) {
	t.Helper()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		n := c.tally[kind]
		require.NotNil(t, n, "%s was never injected", kind)
		t.Logf("%-26s %4d injected, found by rows %4d, by sums %4d, by references %4d, as a stranger's %4d", kind, n.injected, n.rows, n.sums, n.references, n.strangers)
		switch {
		case kind == "row under another's id" && c.alone:
			require.Equal(t, n.injected, n.strangers, kind)
		case kind == "byte flipped" || kind == "value in the wrong column":
			require.Equal(t, n.injected, n.rows, kind)
			require.Positive(t, n.sums, kind)
		default:
			require.Equal(t, n.injected, n.rows, kind)
			require.Equal(t, n.injected, n.sums, kind)
		}
	}
	t.Logf("the schema itself refused %d", c.refused)
}

// letGo lets the move go on: every corruption was taken back, so it is verified.
func (c *corruption) letGo(t *testing.T) {
	t.Helper()
	require.NoError(t, c.verdict(c.x.compareAll))
	c.release()
	m := c.i.waitFor(t, c.move, Watching)
	require.Contains(t, m.Stats.Gates[verificationGate], fmt.Sprintf("%d rows", corruptedRows*len(c.tables)))
}
