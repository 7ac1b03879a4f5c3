package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

func loadTokens(s backends.Store, k backends.Token, rows ...backends.Row) error {
	page, err := backends.PageOf(tokens, rows...)
	if err != nil {
		return err
	}
	return s.Load(context.Background(), k, page, backends.Progress{Table: tokens.Name, Copied: int64(len(rows))})
}

// shared says that storefronts share the tables of the backend under test.
func (h *home) shared() bool { return h.Backend.Shared() }

// unindexed begins a load; contradict loads two rows of one unique key, which a place
// that has its indexes refuses.
func (h *home) unindexed(t *testing.T) (s backends.Store, k backends.Token, contradict func() error) {
	s, k = h.target(t)
	for range 2 {
		require.NoError(t, s.BeginLoad(context.Background(), k))
	}
	return s, k, func() error { return loadTokens(s, k, tokenRow("1", "x"), tokenRow("2", "x")) }
}

// loadGivesUpIndexes: rows that contradict each other for a while can be loaded where
// nobody else is, the index is made when they no longer do, and holds from then on.
func loadGivesUpIndexes(t *testing.T, h *home) {
	ctx := context.Background()
	s, k, contradict := h.unindexed(t)
	if h.shared() {
		require.ErrorIs(t, contradict(), backends.ErrUnique, "others are there")
		require.NoError(t, loadTokens(s, k, tokenRow("1", "x")))
		require.NoError(t, s.EndLoad(ctx, k, tokens))
		return
	}
	require.NoError(t, contradict())
	require.ErrorIs(t, s.EndLoad(ctx, k, tokens), backends.ErrUnique)
	require.NoError(t, s.Apply(ctx, k, backends.Batch{
		Keys: []backends.Key{tokenKey("1")}, Rows: map[backends.Key]backends.Row{tokenKey("1"): tokenRow("1", "y")},
	}))
	for range 2 {
		require.NoError(t, s.EndLoad(ctx, k, tokens))
	}
	require.ErrorIs(t, loadTokens(s, k, tokenRow("3", "x")), backends.ErrUnique)
	require.Equal(t, []backends.Row{tokenRow("1", "y"), tokenRow("2", "x")}, scan(t, s, tokens))
	var unique *backends.UniqueError
	require.ErrorAs(t, loadTokens(s, k, tokenRow("3", "x")), &unique)
	require.Equal(t, backends.UniqueError{Table: tokens.Name, Key: "one_time_tokens_hash"}, *unique)
}

func staysLoading(t *testing.T, h *home) {
	ctx := context.Background()
	s, k, _ := h.unindexed(t)
	stale := backends.Token{Move: k.Move, Gen: k.Gen + 1}
	require.ErrorIs(t, s.BeginLoad(ctx, stale), map[bool]error{true: nil, false: backends.ErrStaleToken}[h.shared()])
	require.ErrorIs(t, s.EndLoad(ctx, stale, tokens), backends.ErrStaleToken)
	open := backends.Transition{From: []backends.State{backends.Loading}, To: backends.Standby}
	tables := h.catalog.Moving()
	for _, table := range tables {
		if !h.shared() && table == tokens {
			require.ErrorIs(t, s.Change(ctx, k, open), backends.ErrTransition)
		}
		require.NoError(t, s.EndLoad(ctx, k, table))
	}
	require.NoError(t, s.Change(ctx, k, open))
	if !h.shared() {
		require.ErrorIs(t, s.BeginLoad(ctx, k), backends.ErrTransition, "a place that is no longer loading keeps its indexes")
	}
}

// purgeMakesIndexes: the place of a move that was given up may be the next one's target.
func purgeMakesIndexes(t *testing.T, h *home) {
	s, k, contradict := h.unindexed(t)
	if !h.shared() {
		require.NoError(t, contradict())
	}
	purge(t, s, k)
	k = token()
	require.NoError(t, s.Install(context.Background(), k, epoch))
	require.ErrorIs(t, loadTokens(s, k, tokenRow("1", "x"), tokenRow("2", "x")), backends.ErrUnique)
}
