package storetest

import (
	"context"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/ids"
)

var captureCases = map[string]func(*testing.T, *home){
	"off, nothing is recorded":     offRecordsNothing,
	"on, every key is recorded":    onRecordsKeys,
	"a rolled back key is not":     rolledBackIsNot,
	"exactly these are forgotten":  forgetsExactly,
	"the mover is not captured":    moverIsNotCaptured,
	"no write is missed":           noWriteIsMissed,
	"entries of one table or many": entriesByTable,
}

func backlog(t testing.TB, s backends.Store) int64 {
	t.Helper()
	n, err := s.Backlog(context.Background())
	require.NoError(t, err)
	return n
}

func capturedKeys(t testing.TB, s backends.Store, table string) []backends.Entry {
	t.Helper()
	entries, err := s.Captured(context.Background(), table, 1000)
	require.NoError(t, err)
	sort.Slice(entries, func(i, j int) bool { return entries[i].Key.ID < entries[j].Key.ID })
	return entries
}

func offRecordsNothing(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 1)
	require.Zero(t, backlog(t, s))
}

func onRecordsKeys(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "b", 1)
	put(t, s, "c", 1)
	enlisted(t, s)
	update(t, s, func(tx backends.Tx) error {
		_, err := tx.Exec(addCounter, "a", 1)
		require.NoError(t, err)
		var v int64
		require.NoError(t, tx.Get(&v, bumpCounter, "b"))
		_, err = tx.Exec(dropCounter, "c")
		require.NoError(t, err)
		_, err = tx.Exec(setCounter, "nobody", 1)
		return err
	})
	var keys []string
	for _, e := range capturedKeys(t, s, "") {
		require.Equal(t, "counters", e.Table)
		keys = append(keys, e.Key.ID)
	}
	require.Equal(t, []string{"a", "b", "c"}, keys)
}

func rolledBackIsNot(t *testing.T, h *home) {
	s := h.storefront(t)
	enlisted(t, s)
	require.ErrorIs(t, tryUpdate(s, func(tx backends.Tx) error {
		_, err := tx.Exec(addCounter, "a", 1)
		require.NoError(t, err)
		return errOwn
	}), errOwn)
	require.Zero(t, backlog(t, s))
}

// noWriteIsMissed turns capture on among writers: what is acknowledged is in the
// first snapshot after the barrier, or captured.
func noWriteIsMissed(t *testing.T, h *home) {
	ctx := context.Background()
	s := h.storefront(t)
	stop := make(chan struct{})
	started, acknowledged := make(chan struct{}, writers), make(chan []string, writers)
	for range writers {
		go func() {
			var mine []string
			for {
				select {
				case <-stop:
					acknowledged <- mine
					return
				default:
				}
				id := ids.New()
				err := tryUpdate(s, func(tx backends.Tx) error {
					_, err := tx.Exec(addCounter, id, 1)
					return err
				})
				if err == nil {
					mine = append(mine, id)
				}
				if len(mine) == 1 {
					started <- struct{}{}
				}
			}
		}()
	}
	for range writers {
		<-started
	}
	k := enlisted(t, s)
	require.NoError(t, s.Barrier(ctx, k, patience))
	seen := map[string]bool{}
	for _, row := range scan(t, s, counters) {
		seen[row.Key()] = true
	}
	for backlog(t, s) < writers { // they write on, and are captured
	}
	close(stop)
	var all []string
	for range writers {
		all = append(all, <-acknowledged...)
	}
	entries, err := s.Captured(ctx, "", 1000000)
	require.NoError(t, err)
	for _, e := range entries {
		seen[e.Key.ID] = true
	}
	for _, id := range all {
		require.True(t, seen[id], "acknowledged, but neither in the snapshot nor captured")
	}
}

func forgetsExactly(t *testing.T, h *home) {
	s := h.storefront(t)
	k := enlisted(t, s)
	put(t, s, "a", 1)
	read := capturedKeys(t, s, "")
	update(t, s, func(tx backends.Tx) error {
		_, err := tx.Exec(setCounter, "a", 2)
		return err
	})
	require.NoError(t, s.Forget(context.Background(), k, read))
	left := capturedKeys(t, s, "")
	require.Len(t, left, 1, "the later entry of the same key stays")
	require.NotEqual(t, read[0].ID, left[0].ID)
}

func moverIsNotCaptured(t *testing.T, h *home) {
	s := h.storefront(t)
	k := enlisted(t, s)
	require.NoError(t, s.Apply(context.Background(), k, backends.Batch{
		Keys: []backends.Key{counterKey("a")},
		Rows: map[backends.Key]backends.Row{counterKey("a"): counterRow("a", 1)},
	}))
	require.Zero(t, backlog(t, s))
}

func entriesByTable(t *testing.T, h *home) {
	s := h.storefront(t)
	enlisted(t, s)
	put(t, s, "a", 1)
	require.Len(t, capturedKeys(t, s, "counters"), 1)
	require.Empty(t, capturedKeys(t, s, "one_time_tokens"))
}
