package storetest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"smartseller/backends"
	"smartseller/platform/ids"
)

var rowCases = map[string]func(*testing.T, *home){
	"a chunk and its progress":              loadsChunk,
	"a chunk that exists changes nothing":   loadedTwice,
	"apply is idempotent and deletes":       applyIsIdempotent,
	"a batch swaps unique values":           applySwaps,
	"a holder outside the batch is named":   holderIsNamed,
	"scan goes in key order":                scansInOrder,
	"a page of wide rows ends early":        wideRowsEndPage,
	"random rows come back byte for byte":   rowsRoundTrip,
	"wide rows are read a few at a time":    wideRows,
	"a value of a wrong type is refused":    wrongTypeIsRefused,
	"sums tell a changed value":             sumsTell,
	"a purge leaves nothing, in small bits": purgeLeavesNothing,
	"a load gives up indexes for a while":   loadGivesUpIndexes,
	"no place opens without its indexes":    staysLoading,
	"a purge makes indexes again":           purgeMakesIndexes,
}

func pageOf(t require.TestingT, table *backends.Table, rows ...backends.Row) *backends.Page {
	page, err := backends.PageOf(table, rows...)
	require.NoError(t, err)
	return page
}

func load(t testing.TB, s backends.Store, k backends.Token, rows ...backends.Row) {
	t.Helper()
	require.NoError(t, s.Load(context.Background(), k, pageOf(t, counters, rows...), backends.Progress{Table: "counters", Cursor: rows[len(rows)-1].Key(), Copied: int64(len(rows))}))
}

func (h *home) target(t testing.TB) (backends.Store, backends.Token) {
	t.Helper()
	s, k := h.place(t), token()
	require.NoError(t, s.Install(context.Background(), k, epoch))
	return s, k
}

func scan(t testing.TB, s backends.Store, table *backends.Table) (rows []backends.Row) {
	t.Helper()
	require.NoError(t, s.Read(context.Background(), func(r backends.Reader) (err error) {
		rows, _, err = r.Scan(table, "", "", 100000)
		return err
	}))
	return rows
}

func loadsChunk(t *testing.T, h *home) {
	s, k := h.target(t)
	p := backends.Progress{Table: "counters", Cursor: "b", Through: "z", Copied: 2, Done: true}
	require.NoError(t, s.Load(context.Background(), k, pageOf(t, counters, counterRow("a", 1), counterRow("b", 2)), p))
	got, err := s.Progress(context.Background())
	require.NoError(t, err)
	require.Equal(t, []backends.Progress{p}, got)
	require.Equal(t, []backends.Row{counterRow("a", 1), counterRow("b", 2)}, scan(t, s, counters))
}

func loadedTwice(t *testing.T, h *home) {
	s, k := h.target(t)
	load(t, s, k, counterRow("b", 1))
	again := pageOf(t, counters, counterRow("a", 1), counterRow("b", 2))
	err := s.Load(context.Background(), k, again, backends.Progress{Table: "counters", Cursor: "b"})
	require.ErrorIs(t, err, backends.ErrProgress, "as after an answer that was lost")
	err = s.Load(context.Background(), k, again, backends.Progress{Table: "counters", After: "b", Cursor: "c"})
	require.ErrorIs(t, err, backends.ErrUnique)
	require.Equal(t, []backends.Row{counterRow("b", 1)}, scan(t, s, counters))
}

func applyIsIdempotent(t *testing.T, h *home) {
	s, k := h.target(t)
	load(t, s, k, counterRow("a", 1), counterRow("b", 1))
	b := backends.Batch{
		Keys:   []backends.Key{counterKey("a"), counterKey("b"), counterKey("c")},
		Rows:   map[backends.Key]backends.Row{counterKey("a"): counterRow("a", 2), counterKey("c"): counterRow("c", 3)},
		Verify: true,
	}
	for range 2 {
		require.NoError(t, s.Apply(context.Background(), k, b))
		require.Equal(t, []backends.Row{counterRow("a", 2), counterRow("c", 3)}, scan(t, s, counters))
	}
	entries, err := s.ToVerify(context.Background(), 100)
	require.NoError(t, err)
	require.NoError(t, s.Verified(context.Background(), k, entries))
	entries, err = s.ToVerify(context.Background(), 100)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func tokenRow(id, hash string) backends.Row {
	return backends.Row{id, "c", "p", []byte(hash), "e", int64(1), int64(2), nil}
}

func tokenKey(id string) backends.Key { return backends.Key{Table: "one_time_tokens", ID: id} }

func applySwaps(t *testing.T, h *home) {
	s, k := h.target(t)
	for _, hashes := range [][2]string{{"x", "y"}, {"y", "x"}} {
		require.NoError(t, s.Apply(context.Background(), k, backends.Batch{
			Keys: []backends.Key{tokenKey("1"), tokenKey("2")},
			Rows: map[backends.Key]backends.Row{tokenKey("1"): tokenRow("1", hashes[0]), tokenKey("2"): tokenRow("2", hashes[1])},
		}))
	}
	require.Equal(t, []backends.Row{tokenRow("1", "y"), tokenRow("2", "x")}, scan(t, s, tokens))
}

func holderIsNamed(t *testing.T, h *home) {
	s, k := h.target(t)
	one := backends.Batch{Keys: []backends.Key{tokenKey("1")}, Rows: map[backends.Key]backends.Row{tokenKey("1"): tokenRow("1", "x")}}
	require.NoError(t, s.Apply(context.Background(), k, one))
	two := backends.Batch{Keys: []backends.Key{tokenKey("2")}, Rows: map[backends.Key]backends.Row{tokenKey("2"): tokenRow("2", "x")}}
	var holders *backends.HolderError
	require.ErrorAs(t, s.Apply(context.Background(), k, two), &holders)
	require.Equal(t, []backends.Key{tokenKey("1")}, holders.Holders)
	require.Equal(t, []backends.Row{tokenRow("1", "x")}, scan(t, s, tokens))
}

func scansInOrder(t *testing.T, h *home) {
	s, k := h.target(t)
	var rows []backends.Row
	for i := range 100 {
		rows = append(rows, counterRow(key(i), int64(i)))
	}
	load(t, s, k, rows...)
	for _, c := range []struct {
		after, through string
		limit          int
		want           []backends.Row
		more           bool
	}{{key(9), key(49), 10, rows[10:20], true}, {key(39), key(44), 100, rows[40:45], false}, {"", "", 1000, rows, false}} {
		page := pageOf(t, counters)
		more, err := s.Page(context.Background(), page, c.after, c.through, c.limit)
		require.NoError(t, err)
		require.Equal(t, c.more, more)
		require.Equal(t, c.want, page.Rows())
	}
	require.NoError(t, s.Read(context.Background(), func(r backends.Reader) error {
		got, more, err := r.Scan(counters, key(9), key(49), 10)
		require.NoError(t, err)
		require.True(t, more)
		require.Equal(t, rows[10:20], got)
		got, more, err = r.Scan(counters, key(39), key(44), 100)
		require.NoError(t, err)
		require.False(t, more)
		require.Equal(t, rows[40:45], got)
		n, err := r.Count(counters)
		require.NoError(t, err)
		require.EqualValues(t, 100, n)
		last, err := r.LastKey(counters)
		require.NoError(t, err)
		require.Equal(t, key(99), last)
		last, err = r.LastKey(tokens)
		require.NoError(t, err)
		require.Empty(t, last)
		return nil
	}))
}

// wideRowsEndPage: whatever the limit, a page is bounded, and the pages together
// are the whole.
func wideRowsEndPage(t *testing.T, h *home) {
	s, k := h.target(t)
	const rows = 12
	for i := range rows {
		row := backends.Row{key(i), "", string(make1MiB()), int64(0), int64(0)}
		require.NoError(t, s.Load(context.Background(), k, pageOf(t, idempotency, row), backends.Progress{Table: idempotency.Name}))
	}
	page, pages := pageOf(t, idempotency), 0
	for after, more := "", true; more; pages++ {
		before := page.Len()
		left, err := s.Page(context.Background(), page, after, "", 1000)
		require.NoError(t, err)
		require.Less(t, page.Len()-before, rows)
		after, more = page.Key(page.Len()-1).ID, left
	}
	require.Equal(t, rows, page.Len())
	require.Greater(t, pages, 2)
	require.NoError(t, s.Read(context.Background(), func(r backends.Reader) error {
		sample, more, err := r.Scan(idempotency, "", "", 1000)
		require.NoError(t, err)
		require.True(t, more)
		require.Less(t, len(sample), rows)
		return nil
	}))
}

// anyText is text that every engine holds: any Unicode but NUL.
var anyText = rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r != 0 }))

// rowsRoundTrip: rows read back equal those written, so digests of the same rows
// are the same on every backend.
func rowsRoundTrip(t *testing.T, h *home) {
	s, k := h.target(t)
	rapid.Check(t, func(rt *rapid.T) {
		row := backends.Row{
			ids.New(), anyText.Draw(rt, "customer"), anyText.Draw(rt, "purpose"),
			append([]byte(ids.New()), rapid.SliceOf(rapid.Byte()).Draw(rt, "hash")...), anyText.Draw(rt, "email"),
			rapid.Int64().Draw(rt, "created"), rapid.Int64().Draw(rt, "expires"), nil,
		}
		if rapid.Bool().Draw(rt, "used") {
			row[7] = rapid.Int64().Draw(rt, "used at")
		}
		require.NoError(rt, s.Load(context.Background(), k, pageOf(rt, tokens, row), backends.Progress{Table: tokens.Name}))
		require.NoError(rt, s.Read(context.Background(), func(r backends.Reader) error {
			got, err := r.Rows([]backends.Key{tokenKey(row.Key())})
			require.NoError(rt, err)
			want, _, err := backends.DigestOf(tokens, row, nil)
			require.NoError(rt, err)
			have, _, err := backends.DigestOf(tokens, got[tokenKey(row.Key())], nil)
			require.NoError(rt, err)
			require.Equal(rt, want, have)
			return nil
		}))
		page := pageOf(rt, tokens)
		_, err := s.Page(context.Background(), page, "", "", 100000)
		require.NoError(rt, err)
		rows := page.Rows()
		at := slices.IndexFunc(rows, func(r backends.Row) bool { return r.Key() == row.Key() })
		require.GreaterOrEqual(rt, at, 0)
		require.Equal(rt, row, rows[at])
	})
}

// wideRows: what is asked for by key is bounded in memory, but for a single row.
func wideRows(t *testing.T, h *home) {
	s, k := h.target(t)
	var keys []backends.Key
	for i := range 5 {
		row := backends.Row{key(i), "", string(make1MiB()), int64(0), int64(0)}
		require.NoError(t, s.Load(context.Background(), k, pageOf(t, idempotency, row), backends.Progress{Table: idempotency.Name}))
		keys = append(keys, backends.Key{Table: idempotency.Name, ID: row.Key()})
	}
	keys = append(keys, backends.Key{Table: idempotency.Name, ID: "of no row"}, counterKey("of none"))
	reads, read := 0, map[backends.Key]backends.Row{}
	for left := keys; len(left) > 0; reads++ {
		require.NoError(t, s.Read(context.Background(), func(r backends.Reader) error {
			some, rest, err := r.SomeRows(left)
			require.NoError(t, err)
			require.Less(t, len(rest), len(left))
			require.Less(t, len(some), 5)
			maps.Copy(read, some)
			left = rest
			return nil
		}))
	}
	require.Greater(t, reads, 1)
	require.NoError(t, s.Read(context.Background(), func(r backends.Reader) error {
		all, err := r.Rows(keys)
		require.Len(t, all, 5)
		require.Equal(t, all, read)
		return err
	}))
}

func wrongTypeIsRefused(t *testing.T, h *home) {
	s, k := h.target(t)
	for _, bad := range []backends.Row{{"a", "1"}, {"a", nil}, {"a"}, {"a", 1.5}, {int64(1), int64(1)}, {"a\x00", int64(1)}, {"\xff", int64(1)}} {
		page, err := backends.PageOf(counters, bad)
		if err == nil {
			err = s.Load(context.Background(), k, page, backends.Progress{Table: "counters"})
		}
		require.Error(t, err)
	}
	require.Empty(t, scan(t, s, counters))
}

func sumsTell(t *testing.T, h *home) {
	s, k := h.target(t)
	sums := func() (n []int64) {
		require.NoError(t, s.Read(context.Background(), func(r backends.Reader) (err error) {
			n, err = r.Sums(counters)
			return err
		}))
		return n
	}
	require.Equal(t, []int64{0, 0, 0}, sums())
	load(t, s, k, counterRow("a", 5), counterRow("bé", -7))
	require.Equal(t, []int64{2, 4, -2}, sums())
}

func purgeOnce(s backends.Store, k backends.Token) error {
	_, err := s.Purge(context.Background(), k, 10)
	return err
}

// purge empties a place, in bits.
func purge(t testing.TB, s backends.Store, k backends.Token) {
	t.Helper()
	f, err := s.Fence(context.Background())
	require.NoError(t, err)
	if f.State == backends.Active {
		require.ErrorIs(t, purgeOnce(s, k), backends.ErrTransition, "an open place is not purged")
		change(t, s, k, backends.Moved, backends.Active)
	}
	for {
		n, err := s.Purge(context.Background(), k, 3)
		require.NoError(t, err)
		require.LessOrEqual(t, n, int64(3))
		if n == 0 {
			return
		}
	}
}

func purgeLeavesNothing(t *testing.T, h *home) {
	s := h.storefront(t)
	for i := range 10 {
		put(t, s, key(i), 1)
	}
	k := enlisted(t, s)
	put(t, s, "captured", 1)
	purge(t, s, k)
	f, err := s.Fence(context.Background())
	require.NoError(t, err)
	require.Equal(t, backends.Absent, f.State)
	require.Empty(t, scan(t, s, counters))
	require.Zero(t, backlog(t, s))
	require.NoError(t, purgeOnce(s, k), "repeated")
}
