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
	"smartseller/backends/tenanttest"
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
	w       *world
	i       *instance
	move    string
	release func()
	x       *run
	raw     *sql.DB // of the target, by the engine's own driver
	files   bool    // the target is a file
	alone   bool    // it belongs to one storefront
	rows    map[*backends.Table][]backends.Row
	tables  []*backends.Table
	checks  tenanttest.Checks
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
	c := &corruption{Rand: random, w: w, files: target == "two", alone: target != "shared", checks: tenanttest.ReadChecks(t), rows: map[*backends.Table][]backends.Row{}, tally: map[string]*tally{}}
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
	var err error
	require.Eventually(t, func() bool {
		m, err = c.i.service.Get(ctx, m.ID)
		select {
		case <-waits:
			return true
		default:
			return err != nil || m.EndedAt != nil
		}
	}, waitLong, waitStep)
	require.NoError(t, err)
	require.Nil(t, m.EndedAt, m.Cause)
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

// inject makes one corruption, of a random kind in a random row, lets every path judge
// on its own, and takes it back.
func (c *corruption) inject(t *testing.T) {
	t.Helper()
	c.i.runner.firstRows = 1 + c.IntN(corruptedRows) // so that pages begin at any row
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
		if _, _, err := c.x.compareTable(ctx, t, from, to); err != nil {
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
