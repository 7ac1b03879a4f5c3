package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

func counterArgs(from, to int) (rows [][]any) {
	for n := from; n < to; n++ {
		rows = append(rows, []any{key(n), n})
	}
	return rows
}

// manyRowsAtOnce writes more than one statement holds, and every key is captured.
func manyRowsAtOnce(t *testing.T, h *home) {
	const n = 5000
	s := h.storefront(t)
	require.NoError(t, s.Enlist(context.Background(), token()))
	update(t, s, func(tx backends.Tx) error {
		written, err := tx.ExecMany(addCounter, counterArgs(0, n))
		require.EqualValues(t, n, written)
		return err
	})
	var found []struct {
		ID    string `db:"id"`
		Value int64  `db:"value"`
	}
	require.NoError(t, view(s, func(tx backends.Tx) error { return tx.Select(&found, allCounters) }))
	require.Len(t, found, n)
	for i, f := range found {
		require.Equal(t, key(i), f.ID)
		require.EqualValues(t, i, f.Value)
	}
	backlog, err := s.Backlog(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, n, backlog)
	update(t, s, func(tx backends.Tx) error {
		written, err := tx.ExecMany(addCounter, nil)
		require.Zero(t, written)
		return err
	})
}

func manyRowsOneWrong(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, key(70), 1)
	require.ErrorIs(t, tryUpdate(s, func(tx backends.Tx) error {
		_, err := tx.ExecMany(addCounter, counterArgs(0, 100))
		return err
	}), backends.ErrUnique)
	requireAbsent(t, s, key(0))
	require.Error(t, tryUpdate(s, func(tx backends.Tx) error {
		_, err := tx.ExecMany(addCounter, [][]any{{key(1), 1}, {key(2)}})
		return err
	}))
	require.Error(t, tryUpdate(s, func(tx backends.Tx) error {
		_, err := tx.ExecMany(setCounter, [][]any{{key(70), 2}})
		return err
	}))
	require.ErrorIs(t, view(s, func(tx backends.Tx) error {
		_, err := tx.ExecMany(addCounter, counterArgs(0, 1))
		return err
	}), backends.ErrReadOnly)
}

var listCounters = backends.Read(`SELECT id FROM counters WHERE storefront_id = $1 AND id IN ($2) AND value < $3 ORDER BY id`)

func listsOfValues(t *testing.T, h *home) {
	s := h.storefront(t)
	update(t, s, func(tx backends.Tx) error {
		_, err := tx.ExecMany(addCounter, counterArgs(0, backends.MaxList))
		return err
	})
	for _, n := range []int{0, 1, 2, 8, 9, 100, backends.MaxList} {
		var list backends.List
		for i := range n {
			list = append(list, key(i))
		}
		found := []string{"left over"}
		require.NoError(t, view(s, func(tx backends.Tx) error { return tx.Select(&found, listCounters, list, 300) }))
		require.Len(t, found, min(n, 300))
	}
	require.Error(t, view(s, func(tx backends.Tx) error {
		var found []string
		return tx.Select(&found, listCounters, make(backends.List, backends.MaxList+1), 1)
	}))
}
