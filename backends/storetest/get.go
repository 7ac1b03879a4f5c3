package storetest

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/ids"
)

// getCases are about Get, the View of one statement, wherever it differs from one.
var getCases = map[string]func(*testing.T, *home){
	"finds what View finds":          getFinds,
	"no row, NULLs and several rows": getCountsRows,
	"sees what was acknowledged":     getSeesLatest,
	"is refused like View":           getIsRefused,
	"never meets an emptied place":   getMeetsNoEmptyPlace,
	"a careless statement":           getIsConfined,
	"runs a Read alone":              getRunsReads,
	"lists of values":                getTakesLists,
	"a context that has ended":       getHeedsContext,
}

func getValue(s backends.Store, id string) (v int64, err error) {
	return v, s.Get(context.Background(), epoch, &v, getCounter, id)
}

func getFinds(t *testing.T, h *home) {
	s := h.storefront(t)
	used := int64(-1 << 63)
	for _, at := range []*int64{nil, &used} {
		id := ids.New()
		update(t, s, func(tx backends.Tx) error {
			_, err := tx.Exec(addToken, id, "c", "e\u0301 \U0001f6d2 '$1' ?1", []byte{0, 255, 'x', byte(len(id))}, "e", 1, 1<<62, at)
			return err
		})
		type row struct {
			Purpose string `db:"purpose"`
			Hash    []byte `db:"token_hash"`
			Expires int64  `db:"expires_at"`
			Used    *int64 `db:"used_at"`
		}
		var want, got row
		require.NoError(t, view(s, func(tx backends.Tx) error { return tx.Get(&want, getToken, id) }))
		require.NoError(t, s.Get(context.Background(), epoch, &got, getToken, id))
		require.Equal(t, want, got)
		update(t, s, func(tx backends.Tx) error {
			_, err := tx.Exec(dropToken, id)
			return err
		})
	}
}

var (
	dropToken = backends.Write(tokens, `DELETE FROM one_time_tokens WHERE storefront_id = $1 AND id = $2`)
	usedAt    = backends.Read(`SELECT used_at FROM one_time_tokens WHERE storefront_id = $1 AND id = $2`)
	howMany   = backends.Read(`SELECT count(*) FROM counters WHERE storefront_id = $1`)
)

func getCountsRows(t *testing.T, h *home) {
	ctx := context.Background()
	s := h.storefront(t)
	_, err := getValue(s, "a")
	require.ErrorIs(t, err, sql.ErrNoRows)
	var n int64
	require.NoError(t, s.Get(ctx, epoch, &n, howMany))
	require.Zero(t, n)
	update(t, s, func(tx backends.Tx) error {
		_, err := tx.Exec(addToken, "t", "c", "p", []byte("h"), "e", 1, 2, nil)
		return err
	})
	used := new(int64)
	require.NoError(t, s.Get(ctx, epoch, &used, usedAt, "t"), "a row of nothing but NULL is one")
	require.Nil(t, used)
	put(t, s, "a", 1)
	put(t, s, "b", 2)
	var row struct {
		ID    string `db:"id"`
		Value int64  `db:"value"`
	}
	require.ErrorContains(t, s.Get(ctx, epoch, &row, allCounters), "more than one row")
	v, err := getValue(s, "b")
	require.NoError(t, err)
	require.EqualValues(t, 2, v)
}

func getSeesLatest(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 0)
	for n := range int64(20) {
		v, err := getValue(s, "a")
		require.NoError(t, err)
		require.Equal(t, n, v)
		update(t, s, func(tx backends.Tx) error { return tx.Get(&v, bumpCounter, "a") })
	}
}

func getIsRefused(t *testing.T, h *home) {
	ctx := context.Background()
	var v int64
	empty := h.place(t)
	requireRefused(t, empty.Get(ctx, epoch, &v, getCounter, "a"), backends.Absent)
	for state, let := range map[backends.State]bool{
		backends.Active: true, backends.Sealed: true,
		backends.Closed: false, backends.Moved: false, backends.Standby: false, backends.Loading: false,
	} {
		s := h.storefront(t)
		put(t, s, "a", 1)
		change(t, s, enlisted(t, s), state, backends.Active)
		for id, found := range map[string]error{"a": nil, "nobody": sql.ErrNoRows} {
			if err := s.Get(ctx, epoch, &v, getCounter, id); let {
				require.ErrorIs(t, err, found, state)
			} else {
				requireRefused(t, err, state)
			}
		}
		var refused *backends.Refused
		require.ErrorAs(t, s.Get(ctx, epoch+1, &v, getCounter, "a"), &refused)
		require.Equal(t, backends.Refused{State: state, Epoch: epoch}, *refused)
	}
}

// getMeetsNoEmptyPlace: fence and row are of one snapshot, so what was there until
// the storefront moved away is found or refused, and never missing.
func getMeetsNoEmptyPlace(t *testing.T, h *home) {
	for range 10 {
		s := h.storefront(t)
		put(t, s, "a", 1)
		k := enlisted(t, s)
		reads, done := make(chan struct{}, 1), make(chan error, 1)
		go func() {
			for {
				_, err := getValue(s, "a")
				select {
				case reads <- struct{}{}:
				default:
				}
				if err != nil {
					done <- err
					return
				}
			}
		}()
		<-reads
		change(t, s, k, backends.Moved, backends.Active)
		purge(t, s, k)
		var refused *backends.Refused
		require.ErrorAs(t, <-done, &refused)
	}
}

func getIsConfined(t *testing.T, h *home) {
	mine, other := twoStorefronts(t, h)
	put(t, other, "another id", 3)
	for s, rows := range map[backends.Store]int64{mine: 1, other: 2} {
		for range 7 { // a statement that is prepared is planned anew for the first five
			var n int64
			require.NoError(t, s.Get(context.Background(), epoch, &n, careless))
			require.Equal(t, rows, n)
		}
	}
}

func getRunsReads(t *testing.T, h *home) {
	ctx := context.Background()
	s := h.storefront(t)
	put(t, s, "a", 1)
	var v int64
	for _, st := range []*backends.Statement{lockCounter, bumpCounter} {
		require.ErrorIs(t, s.Get(ctx, epoch, &v, st, "a"), backends.ErrReadOnly)
	}
	require.EqualValues(t, 1, value(t, s, "a"))
	require.ErrorIs(t, s.Update(ctx, epoch, func(ctx context.Context, _ backends.Tx) error {
		return s.Get(ctx, epoch, &v, getCounter, "a")
	}), backends.ErrNested)
	require.Error(t, s.Get(ctx, epoch, &v, getCounter, "bad\x00text"))
	require.Error(t, s.Get(ctx, epoch, v, getCounter, "a"), "no pointer")
	require.Error(t, s.Get(ctx, epoch, &struct{}{}, getCounter, "a"), "no field")
}

func getTakesLists(t *testing.T, h *home) {
	s := h.storefront(t)
	for n := range 3 {
		put(t, s, key(n), int64(n))
	}
	var id string
	require.NoError(t, s.Get(context.Background(), epoch, &id, listCounters, backends.List{key(2), key(7), "x"}, 300))
	require.Equal(t, key(2), id)
	require.ErrorIs(t, s.Get(context.Background(), epoch, &id, listCounters, backends.List{}, 300), sql.ErrNoRows)
}

func getHeedsContext(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var v int64
	require.ErrorIs(t, s.Get(ctx, epoch, &v, getCounter, "a"), context.Canceled)
	v, err := getValue(s, "a")
	require.NoError(t, err)
	require.EqualValues(t, 1, v)
}
