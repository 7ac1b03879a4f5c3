package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

var isolationCases = map[string]func(*testing.T, *home){
	"another storefront sees nothing":    anotherSeesNothing,
	"another storefront changes nothing": anotherChangesNothing,
	"a purge takes its own rows only":    purgeTakesItsOwn,
	"careless statements stay at home":   carelessStayHome,
}

// These bind the storefront, and then ask for more.
var (
	careless      = backends.Read(`SELECT count(*) FROM counters WHERE storefront_id = $1 OR value > 0`)
	carelessLock  = backends.Lock(`SELECT value FROM counters WHERE storefront_id = $1 OR value > 0`)
	carelessWrite = backends.Write(counters, `UPDATE counters SET value = value + 10 WHERE storefront_id = $1 OR value > 0`)
	carelessErase = backends.Write(counters, `DELETE FROM counters WHERE storefront_id = $1 OR value > 0`)
)

// carelessStayHome: where others' rows are beside the storefront's own, something else
// than the statement keeps it from them.
func carelessStayHome(t *testing.T, h *home) {
	mine, other := twoStorefronts(t, h)
	read := func(tx backends.Tx) error {
		var n int64
		require.NoError(t, tx.Get(&n, careless))
		require.EqualValues(t, 1, n)
		return nil
	}
	require.NoError(t, view(other, read))
	update(t, other, func(tx backends.Tx) error {
		require.NoError(t, read(tx))
		var values []int64
		require.NoError(t, tx.Select(&values, carelessLock))
		require.Equal(t, []int64{2}, values)
		for _, st := range []*backends.Statement{carelessWrite, carelessErase} {
			n, err := tx.Exec(st)
			require.NoError(t, err)
			require.EqualValues(t, 1, n, st.Site)
		}
		return nil
	})
	require.EqualValues(t, 1, value(t, mine, "same id"))
	requireAbsent(t, other, "other id")
}

func twoStorefronts(t *testing.T, h *home) (mine, other backends.Store) {
	mine, other = h.storefront(t), h.storefront(t)
	put(t, mine, "same id", 1)
	put(t, other, "other id", 2)
	return mine, other
}

func anotherSeesNothing(t *testing.T, h *home) {
	_, other := twoStorefronts(t, h)
	requireAbsent(t, other, "same id")
	require.NoError(t, view(other, func(tx backends.Tx) error {
		var rows []struct {
			ID    string `db:"id"`
			Value int64  `db:"value"`
		}
		require.NoError(t, tx.Select(&rows, allCounters))
		require.Len(t, rows, 1)
		return nil
	}))
	require.NoError(t, other.Read(context.Background(), func(r backends.Reader) error {
		rows, _, err := r.Scan(counters, "", "", 10)
		require.NoError(t, err)
		require.Equal(t, []backends.Row{counterRow("other id", 2)}, rows)
		found, err := r.Rows([]backends.Key{counterKey("same id")})
		require.NoError(t, err)
		require.Empty(t, found)
		last, err := r.LastKey(counters)
		require.NoError(t, err)
		require.Equal(t, "other id", last)
		return nil
	}))
}

func anotherChangesNothing(t *testing.T, h *home) {
	mine, other := twoStorefronts(t, h)
	update(t, other, func(tx backends.Tx) error {
		for _, st := range []*backends.Statement{dropCounter, setCounter} {
			args := []any{"same id"}
			if st == setCounter {
				args = append(args, 9)
			}
			n, err := tx.Exec(st, args...)
			require.NoError(t, err)
			require.Zero(t, n)
		}
		_, err := tx.Exec(addCounter, "same id", 5)
		return err
	})
	require.EqualValues(t, 1, value(t, mine, "same id"))
}

func purgeTakesItsOwn(t *testing.T, h *home) {
	mine, other := twoStorefronts(t, h)
	purge(t, other, enlisted(t, other))
	require.EqualValues(t, 1, value(t, mine, "same id"))
}
