package storetest

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/ids"
)

var transactionCases = map[string]func(*testing.T, *home){
	"reads its writes":                     readsItsWrites,
	"a failed function rolls back":         rollsBackOnError,
	"a panic rolls back and goes on":       rollsBackOnPanic,
	"a swallowed error does not commit":    swallowedErrorRollsBack,
	"a cancelled context rolls back":       rollsBackOnCancel,
	"View sees one snapshot":               viewIsOneSnapshot,
	"View refuses writes":                  viewRefusesWrites,
	"Lock loses no update":                 lockLosesNoUpdate,
	"a version predicate loses no update":  predicateLosesNoUpdate,
	"RETURNING gives the module its own":   returningGivesOwnColumns,
	"a unique key is named":                uniqueKeyIsNamed,
	"a transaction inside another":         nestedIsRefused,
	"a dead handle is refused":             deadHandleIsRefused,
	"types go in and come out":             typesRoundTrip,
	"a mebibyte of text":                   largeTextRoundTrips,
	"text that not every engine holds":     badTextIsRefused,
	"Get wants one row":                    getWantsOneRow,
	"many rows at once":                    manyRowsAtOnce,
	"many rows at once, one of them wrong": manyRowsOneWrong,
	"lists of values":                      listsOfValues,
	"a conflict is run again":              conflictIsRunAgain,
	"two handles lose no update":           twoHandlesLoseNoUpdate,
}

var errOwn = errors.New("the function's own")

func readsItsWrites(t *testing.T, h *home) {
	s := h.storefront(t)
	update(t, s, func(tx backends.Tx) error {
		n, err := tx.Exec(addCounter, "a", 7)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		var v int64
		require.NoError(t, tx.Get(&v, getCounter, "a"))
		require.EqualValues(t, 7, v)
		return nil
	})
	require.EqualValues(t, 7, value(t, s, "a"))
}

func requireAbsent(t *testing.T, s backends.Store, id string) {
	t.Helper()
	var v int64
	require.ErrorIs(t, view(s, func(tx backends.Tx) error { return tx.Get(&v, getCounter, id) }), sql.ErrNoRows)
}

func rollsBackOnError(t *testing.T, h *home) {
	s := h.storefront(t)
	require.ErrorIs(t, tryUpdate(s, func(tx backends.Tx) error {
		_, err := tx.Exec(addCounter, "a", 1)
		require.NoError(t, err)
		return errOwn
	}), errOwn)
	requireAbsent(t, s, "a")
}

func rollsBackOnPanic(t *testing.T, h *home) {
	s := h.storefront(t)
	require.PanicsWithValue(t, "boom", func() {
		_ = tryUpdate(s, func(tx backends.Tx) error {
			_, err := tx.Exec(addCounter, "a", 1)
			require.NoError(t, err)
			panic("boom")
		})
	})
	requireAbsent(t, s, "a")
	put(t, s, "a", 2) // no lock was left behind
}

func swallowedErrorRollsBack(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "taken", 1)
	err := tryUpdate(s, func(tx backends.Tx) error {
		_, err := tx.Exec(addCounter, "a", 1)
		require.NoError(t, err)
		_, err = tx.Exec(addCounter, "taken", 1)
		require.ErrorIs(t, err, backends.ErrUnique)
		return nil
	})
	require.ErrorIs(t, err, backends.ErrUnique)
	requireAbsent(t, s, "a")
}

func rollsBackOnCancel(t *testing.T, h *home) {
	s := h.storefront(t)
	ctx, cancel := context.WithCancel(context.Background())
	err := s.Update(ctx, epoch, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(addCounter, "a", 1)
		require.NoError(t, err)
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	requireAbsent(t, s, "a")
}

func viewIsOneSnapshot(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 1)
	require.NoError(t, view(s, func(tx backends.Tx) error {
		var before, after int64
		require.NoError(t, tx.Get(&before, getCounter, "a"))
		update(t, s, func(tx backends.Tx) error {
			_, err := tx.Exec(setCounter, "a", 2)
			return err
		})
		require.NoError(t, tx.Get(&after, getCounter, "a"))
		require.Equal(t, before, after)
		return nil
	}))
	require.EqualValues(t, 2, value(t, s, "a"))
}

func viewRefusesWrites(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 1)
	for _, st := range []*backends.Statement{addCounter, lockCounter} {
		require.ErrorIs(t, view(s, func(tx backends.Tx) error {
			if st.Kind == backends.LockStatement {
				var v int64
				return tx.Get(&v, st, "a")
			}
			_, err := tx.Exec(st, "b", 1)
			return err
		}), backends.ErrReadOnly)
	}
}

const writers, rounds = 8, 10

// together runs fn in all writers at once.
func together(t *testing.T, fn func() error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, writers*rounds)
	for range writers {
		wg.Go(func() {
			for range rounds {
				errs <- fn()
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

func lockLosesNoUpdate(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 0)
	together(t, func() error {
		return tryUpdate(s, func(tx backends.Tx) error {
			var v int64
			if err := tx.Get(&v, lockCounter, "a"); err != nil {
				return err
			}
			_, err := tx.Exec(setCounter, "a", v+1)
			return err
		})
	})
	require.EqualValues(t, writers*rounds, value(t, s, "a"))
}

func predicateLosesNoUpdate(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 0)
	together(t, func() error {
		for {
			var n int64
			err := tryUpdate(s, func(tx backends.Tx) error {
				var v int64
				err := tx.Get(&v, getCounter, "a")
				if err == nil {
					n, err = tx.Exec(casCounter, "a", v)
				}
				return err
			})
			if err != nil || n == 1 {
				return err
			}
		}
	})
	require.EqualValues(t, writers*rounds, value(t, s, "a"))
}

func returningGivesOwnColumns(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 41)
	update(t, s, func(tx backends.Tx) error {
		var v int64
		require.NoError(t, tx.Get(&v, bumpCounter, "a"))
		require.EqualValues(t, 42, v)
		require.ErrorIs(t, tx.Get(&v, bumpCounter, "nobody"), sql.ErrNoRows)
		return nil
	})
}

func uniqueKeyIsNamed(t *testing.T, h *home) {
	s := h.storefront(t)
	add := func(id string, hash []byte) error {
		return tryUpdate(s, func(tx backends.Tx) error {
			_, err := tx.Exec(addToken, id, "c", "p", hash, "e", 1, 2, nil)
			return err
		})
	}
	require.NoError(t, add("1", []byte("x")))
	for id, name := range map[string]string{"2": "one_time_tokens_hash", "1": "one_time_tokens_key"} {
		hash := []byte("x")
		if id == "1" {
			hash = []byte("y")
		}
		err := add(id, hash)
		var unique *backends.UniqueError
		require.ErrorAs(t, err, &unique)
		require.ErrorIs(t, err, backends.ErrUnique)
		require.Equal(t, backends.UniqueError{Table: "one_time_tokens", Key: name}, *unique)
	}
}

func nestedIsRefused(t *testing.T, h *home) {
	s := h.storefront(t)
	for _, inner := range []func(context.Context, int64, func(context.Context, backends.Tx) error) error{s.View, s.Update} {
		require.ErrorIs(t, s.Update(context.Background(), epoch, func(ctx context.Context, _ backends.Tx) error {
			return inner(ctx, epoch, func(context.Context, backends.Tx) error { return nil })
		}), backends.ErrNested)
	}
}

func deadHandleIsRefused(t *testing.T, h *home) {
	s := h.storefront(t)
	var kept backends.Tx
	update(t, s, func(tx backends.Tx) error {
		kept = tx
		return nil
	})
	_, err := kept.Exec(addCounter, "a", 1)
	require.Error(t, err)
	requireAbsent(t, s, "a")
}

func typesRoundTrip(t *testing.T, h *home) {
	s := h.storefront(t)
	type row struct {
		Purpose string `db:"purpose"`
		Hash    []byte `db:"token_hash"`
		Expires int64  `db:"expires_at"`
		Used    *int64 `db:"used_at"`
	}
	used := int64(-1 << 63)
	for name, want := range map[string]row{
		"empty":   {Hash: []byte{}},
		"unicode": {Purpose: "e\u0301 \u00e9 \U0001f6d2 \u202e \u2028", Hash: []byte{0, 255, 128}, Expires: 1<<63 - 1, Used: &used},
		"json":    {Purpose: `{"a":[1,2,{"b":"\u0000'\"$1 ?1"}]}`, Hash: []byte("j")},
		"quotes":  {Purpose: "'; DROP TABLE counters; --\r\n\t\\", Hash: []byte("q")},
	} {
		id := ids.New()
		update(t, s, func(tx backends.Tx) error {
			_, err := tx.Exec(addToken, id, "c", want.Purpose, want.Hash, "e", 1, want.Expires, want.Used)
			return err
		})
		var got row
		require.NoError(t, view(s, func(tx backends.Tx) error { return tx.Get(&got, getToken, id) }), name)
		require.Equal(t, want, got, name)
	}
}

func largeTextRoundTrips(t *testing.T, h *home) {
	s := h.storefront(t)
	want := string(make1MiB())
	update(t, s, func(tx backends.Tx) error {
		_, err := tx.Exec(addResult, "large", want)
		return err
	})
	var got string
	require.NoError(t, view(s, func(tx backends.Tx) error { return tx.Get(&got, getResult, "large") }))
	require.Equal(t, want, got)
}

func make1MiB() []byte {
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	return b
}

func badTextIsRefused(t *testing.T, h *home) {
	s := h.storefront(t)
	for _, bad := range []string{"a\x00b", "\xff\xfe"} {
		require.Error(t, tryUpdate(s, func(tx backends.Tx) error {
			_, err := tx.Exec(addCounter, bad, 1)
			return err
		}))
	}
}

func getWantsOneRow(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 1)
	put(t, s, "b", 1)
	var row struct {
		ID    string `db:"id"`
		Value int64  `db:"value"`
	}
	require.ErrorContains(t, view(s, func(tx backends.Tx) error { return tx.Get(&row, allCounters) }), "more than one row")
}

// conflictIsRunAgain makes two writers want each other's row. An engine that lets
// several write finds the deadlock and ends one of them, which is then run anew.
func conflictIsRunAgain(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 0)
	put(t, s, "b", 0)
	var runs, have atomic.Int64
	met, meet := context.WithCancel(context.Background()) // both have their first row, or one never gets it
	defer meet()
	done := make(chan error, 2)
	for _, ids := range [][]string{{"a", "b"}, {"b", "a"}} {
		first := !h.OneWriter
		go func() {
			defer meet()
			done <- tryUpdate(s, func(tx backends.Tx) error {
				runs.Add(1)
				var v int64
				if err := tx.Get(&v, bumpCounter, ids[0]); err != nil {
					return err
				}
				if first {
					first = false
					if have.Add(1) == 2 {
						meet()
					}
					<-met.Done()
				}
				return tx.Get(&v, bumpCounter, ids[1])
			})
		}()
	}
	for range 2 {
		require.NoError(t, <-done, "where only one may write, the maker says OneWriter")
	}
	require.EqualValues(t, 2, value(t, s, "a"))
	require.EqualValues(t, 2, value(t, s, "b"))
	if !h.OneWriter {
		require.GreaterOrEqual(t, runs.Load(), int64(3), "one of them was the victim, once or more often")
	}
}

// twoHandlesLoseNoUpdate: two processes may have the same place open.
func twoHandlesLoseNoUpdate(t *testing.T, h *home) {
	one := h.storefront(t)
	other := h.open(t, one.Place())
	put(t, one, "a", 0)
	var turn atomic.Int64
	together(t, func() error {
		s := []backends.Store{one, other}[turn.Add(1)%2]
		return tryUpdate(s, func(tx backends.Tx) error {
			var v int64
			return tx.Get(&v, bumpCounter, "a")
		})
	})
	require.EqualValues(t, writers*rounds, value(t, one, "a"))
	require.EqualValues(t, writers*rounds, value(t, other, "a"))
}
