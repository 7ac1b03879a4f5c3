package migration

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// busy is a place of which the servers' own sums can never be compared: at the source
// something is always noted, and at the target they differ.
type busy struct {
	backends.Store
	fewer int64 // rows that its counters are said to lack
}

func (s busy) Backlog(ctx context.Context) (int64, error) {
	n, err := s.Store.Backlog(ctx)
	return n + 1, err
}

func (s busy) Read(ctx context.Context, fn func(backends.Reader) error) error {
	return s.Store.Read(ctx, func(r backends.Reader) error { return fn(busyReader{r, s}) })
}

type busyReader struct {
	backends.Reader
	s busy
}

func (r busyReader) Sums(t *backends.Table) ([]int64, error) {
	if t.Name == counters.Name && r.s.Place().Backend == "two" {
		return []int64{-1}, nil
	}
	return r.Reader.Sums(t)
}

func (r busyReader) Count(t *backends.Table) (int64, error) {
	n, err := r.Reader.Count(t)
	if t.Name == counters.Name {
		n -= r.s.fewer
	}
	return n, err
}

// TestCountsUnderSeal: of a table whose sums could not be compared the rows are counted
// while writes wait, if that is quick; else the report says that neither was compared.
func TestCountsUnderSeal(t *testing.T) {
	t.Parallel()
	const sums = "not comparable under these writes in counters; equal elsewhere; see counts under seal"
	for name, c := range map[string]struct {
		most, fewer int64
		found       string // by the gate; "": the move fails
	}{
		"all are counted":         {1000, 0, "equal"},
		"those without sums are":  {20, 0, "equal in counters; elsewhere not compared: counting over 20 rows would hold writes up"},
		"and miss a row":          {20, 1, ""},
		"not even those are":      {19, 1, "not compared: counting over 19 rows would hold writes up; of counters, written all the time, neither sums nor counts were compared, only every row by digest"},
		"all are, and miss a row": {1000, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.wrap = func(s backends.Store) backends.Store {
				if s.Place().Backend == "two" {
					return busy{s, c.fewer}
				}
				return busy{s, 0}
			}
			i := w.instance(t, nil)
			i.runner.countedMost = c.most
			id := i.storefront(t, 20)
			require.NoError(t, i.router.Update(context.Background(), id, func(_ context.Context, tx backends.Tx) error {
				_, err := tx.Exec(addToken, "token-1", "nobody", []byte("hash"))
				return err
			}))
			m := startTo(t, i, id, "two", Options{})
			if c.found == "" {
				m = i.waitFor(t, m.ID, Failed)
				require.Contains(t, m.Cause, "counters has 20 rows, its copy 19")
				require.Contains(t, m.Stats.Gates[sealedCountsGate], "failed: verification failed: counters has 20 rows, its copy 19")
				require.Contains(t, m.Advice, "find out who changes rows at the target")
				return
			}
			m = i.waitFor(t, m.ID, Watching)
			require.Equal(t, sums, m.Stats.Gates["server sums"])
			require.Equal(t, c.found, m.Stats.Gates[sealedCountsGate])
			require.EqualValues(t, 20, m.Stats.Rows[counters.Name])
		})
	}
}

// TestCountsFollowTheStorefront: it may have grown at the new place beyond what is quickly
// counted while writes wait.
func TestCountsFollowTheStorefront(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	i.runner.countedMost = 20
	id := i.storefront(t, 20)
	m := startTo(t, i, id, "two", Options{WindowSeconds: 3600})
	m = i.waitFor(t, m.ID, Watching)
	require.Equal(t, "equal", m.Stats.Gates[sealedCountsGate])
	require.NoError(t, i.router.Update(context.Background(), id, func(_ context.Context, tx backends.Tx) error {
		for n := range 30 {
			if _, err := tx.Exec(addCounter, fmt.Sprint("grown-", n), n); err != nil {
				return err
			}
		}
		return nil
	}))
	ask(t, i, m.ID, WantRollback)
	m = i.waitFor(t, m.ID, RolledBack)
	require.EqualValues(t, 50, m.Stats.Rows["counters"])
	require.Contains(t, m.Stats.Gates[sealedCountsGate], "not compared: counting over 20 rows")
}

// TestCountsAreRenewed before writes wait, where as much has changed as is counted then, and
// only where it makes a difference.
func TestCountsAreRenewed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	i.runner.countedMost = 20
	id := i.storefront(t, 50)
	s, release, err := i.stores.Acquire(ctx, backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	require.NoError(t, err)
	defer release()
	for name, c := range map[string]struct {
		known, captured, want int64
	}{
		"much has changed":     {known: 5, captured: 20, want: 50},
		"little has changed":   {known: 5, captured: 19, want: 5},
		"they are many anyway": {known: 21, captured: 100, want: 21},
	} {
		x := &run{Runner: i.runner, m: &Move{Stats: Stats{Rows: map[string]int64{"counters": c.known}, Captured: c.captured}}}
		require.NoError(t, x.recount(ctx, crossing{from: s}), name)
		require.Equal(t, c.want, x.m.Stats.Rows["counters"], name)
	}
}
