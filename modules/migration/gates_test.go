package migration

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

func TestSchemaDifferencesAreNamed(t *testing.T) {
	t.Parallel()
	id, value := backends.T("id"), backends.I("value")
	for want, live := range map[string][]backends.Column{
		"":                     {value, id},
		"counters lacks value": {id},
		"counters has colour, which nobody declared":       {id, value, backends.T("colour")},
		"counters.value is of another type":                {id, backends.T("value")},
		"counters.value differs in whether it may be NULL": {id, backends.NI("value")},
	} {
		require.Equal(t, want, strings.Join(columnsDiffer(counters, live), ", "))
	}
	require.Empty(t, keysMissing(tokens, []string{"one_time_tokens_hash", "another"}))
	require.Equal(t, []string{"one_time_tokens lacks the unique key one_time_tokens_hash"}, keysMissing(tokens, nil))
}

// TestGateOfAModule: a gate that fails for good keeps the storefront where it is and
// is named in the report; one that fails once, as a snapshot in between may, does not.
func TestGateOfAModule(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var broken atomic.Bool
	i := newWorld(t).instance(t, nil, Gate{Name: "taste", Check: func(_ context.Context, source, target backends.Reader) (string, error) {
		if broken.Load() || asked.Add(1) == 1 {
			return "", errors.New("it tastes of nothing")
		}
		n, err := target.Count(counters)
		if n == 0 {
			return "", errors.New("the target is empty")
		}
		return "it tastes", err
	}})
	id := i.storefront(t, 20)
	broken.Store(true)
	m := start(t, i, id, Options{})
	m = i.waitFor(t, m.ID, Failed)
	require.Contains(t, m.Cause, "gate taste: it tastes of nothing")
	i.requireAt(t, id, "one", 1)
	broken.Store(false)
	m = start(t, i, id, Options{})
	m = i.waitFor(t, m.ID, Watching)
	require.Equal(t, "it tastes", m.Stats.Gates["taste"])
	for gate, found := range map[string]string{
		"schema": "tables of this program", "performance": "look-ups take", verificationGate: "20 rows of 3 tables are equal by digest", "server sums": "equal",
		referencesGate: "hold", "reverse canary": "arrived", spaceCheck: "free at the target (on the folder's file system)", "window": "none was asked for",
	} {
		require.Contains(t, m.Stats.Gates[gate], found, gate)
	}
}

// liar is a store that says and does wrong what a test wants it to.
type liar struct {
	backends.Store
	columns bool // tells of a column that is not there
	keys    bool // hides the unique keys
	canary  bool // forgets the canary
}

func (s *liar) Apply(ctx context.Context, token backends.Token, b backends.Batch) error {
	if s.canary && len(b.Keys) > 0 && b.Keys[0].Table == CanaryTable.Name {
		return nil
	}
	return s.Store.Apply(ctx, token, b)
}

func (s *liar) Read(ctx context.Context, fn func(backends.Reader) error) error {
	return s.Store.Read(ctx, func(r backends.Reader) error { return fn(liarReader{r, s}) })
}

type liarReader struct {
	backends.Reader
	s *liar
}

func (r liarReader) Shape(t *backends.Table) ([]backends.Column, []string, error) {
	columns, uniques, err := r.Reader.Shape(t)
	if r.s.columns {
		columns = append(columns, backends.T("colour"))
	}
	if r.s.keys {
		uniques = nil
	}
	return columns, uniques, err
}

// TestGatesThatFailSayWhatToDo: each gate keeps the storefront where it is, stands in
// the report with what it found, and the move says what to do.
func TestGatesThatFailSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gate, at string // where it goes wrong
		lies     liar
		found    string
	}{
		{"schema", "two", liar{columns: true}, "counters has colour"},
		{"schema", "two", liar{keys: true}, "one_time_tokens lacks the unique key one_time_tokens_hash"},
		{"reverse canary", "one", liar{canary: true}, "did not arrive"},
	} {
		t.Run(c.found, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.wrap = func(s backends.Store) backends.Store {
				if s.Place().Backend != c.at {
					return s
				}
				lies := c.lies
				lies.Store = s
				return &lies
			}
			i := w.instance(t, nil)
			i.requireRefused(t, i.storefront(t, 20), "two", c.gate, c.found)
		})
	}
}

func (i *instance) requireRefused(t *testing.T, id backends.StorefrontID, target, gate, found string) {
	t.Helper()
	m := startTo(t, i, id, target, Options{})
	m = i.waitFor(t, m.ID, Failed)
	require.Contains(t, m.Cause, found)
	require.Contains(t, m.Stats.Gates[gate], "failed: ")
	require.Contains(t, m.Stats.Gates[gate], found)
	require.Contains(t, m.Advice, "To do: ")
	i.requireAt(t, id, "one", 1)
	put(t, i, id, "still open")
}

// TestSpaceGate: a backend whose operator said what it may hold takes nothing that
// does not fit; without that word, and where its disk cannot be seen, the report says so.
func TestSpaceGate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWideWorld(t).instance(t, nil)
	id := i.storefront(t, 20)
	require.NoError(t, i.directory.SetCapacity(ctx, "shared", 1<<20))
	i.requireRefused(t, id, "shared", spaceCheck, "of a capacity of 1 MiB")
	require.NoError(t, i.directory.SetCapacity(ctx, "shared", 1<<50))
	m := startTo(t, i, id, "shared", Options{})
	m = i.waitFor(t, m.ID, Watching)
	require.Contains(t, m.Stats.Gates[spaceCheck], "wanted, ")
	require.Error(t, i.directory.SetCapacity(ctx, "two", 1), "a folder has the room of its file system")
}

func TestSpaceThatNobodyKnowsIsSaid(t *testing.T) {
	t.Parallel()
	room := backends.Room{Free: -1, Used: 5 << 20, How: "its disk cannot be seen"}
	f := spaceFinding(room, "far", 1<<20)
	require.False(t, f.Hinders())
	require.Contains(t, f.Problem, "unknown: its disk cannot be seen")
	require.Contains(t, f.Fix, "smartseller backend capacity far")
	require.False(t, spaceFinding(room.Within(8<<20), "far", 1<<20).Hinders())
	require.True(t, spaceFinding(room.Within(7<<20), "far", 1<<20).Hinders(), "2.5 MiB do not fit into 2")
	require.True(t, spaceFinding(room.Within(1<<20), "far", 1<<20).Hinders())
}

var addToken = backends.Write(tokens, `INSERT INTO one_time_tokens (storefront_id, id, customer_id, purpose, token_hash, email_key, created_at, expires_at)
	VALUES ($1, $2, $3, 'x', $4, '', 0, 0)`)

// TestReferenceToNoRow: a row that refers to none at the target does not pass.
func TestReferenceToNoRow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 1)
	require.NoError(t, i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(addToken, "token-1", "nobody", []byte("hash"))
		return err
	}))
	s := i.store(t, backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	x := &run{Runner: i.runner, m: &Move{}, source: s, target: s}
	referring := *tokens
	referring.References = []backends.Reference{{Column: "customer_id", Table: "counters"}}
	err := x.checkReferences(ctx, &referring, s, s)
	require.ErrorContains(t, err, "one_time_tokens token-1 refers by customer_id to a row of counters")
	require.Contains(t, x.m.Stats.Gates[referencesGate], "failed: ")
	referring.References[0].Table = "one_time_tokens"
	referring.References[0].Column = "id"
	require.NoError(t, x.checkReferences(ctx, &referring, s, s))
}

// lame answers look-ups late.
type lame struct{ backends.Store }

type lameReader struct{ backends.Reader }

func (s lame) Read(ctx context.Context, fn func(backends.Reader) error) error {
	return s.Store.Read(ctx, func(r backends.Reader) error { return fn(lameReader{r}) })
}

func (r lameReader) Rows(keys []backends.Key) (map[backends.Key]backends.Row, error) {
	<-time.After(2 * fastEnough)
	return r.Reader.Rows(keys)
}

func TestSlowTargetIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 50)
	s, release, err := i.stores.Acquire(ctx, backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	require.NoError(t, err)
	defer release()
	x := &run{Runner: i.runner, m: &Move{}, source: s, target: lame{s}}
	require.ErrorContains(t, x.checkPerformance(ctx), "the target answers 20 look-ups in counters")
	require.Contains(t, x.m.Stats.Gates["performance"], "failed: ")
	x.target = s
	require.NoError(t, x.checkPerformance(ctx))
}

// TestVerificationSaysWhatWasOnItsWay: a row that was written while it was compared, and is equal
// once that has come over, is counted.
func TestVerificationSaysWhatWasOnItsWay(t *testing.T) {
	t.Parallel()
	at := &stage{}
	i := newWorld(t).instance(t, at.hook)
	id := i.storefront(t, 20)
	at.set(string(Verifying))
	m := startTo(t, i, id, "two", Options{})
	happens(t, at.reached, "a comparison that begins")
	put(t, i, id, "late")
	close(at.goOn)
	m = i.waitFor(t, m.ID, Watching)
	require.Equal(t, "21 rows of 3 tables are equal by digest, 1 of them once their changes had come", m.Stats.Gates[verificationGate])
}
