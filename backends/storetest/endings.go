package storetest

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// One case alone, so that whatever transaction the engine still sees is its own.
var endingCases = map[string]func(*testing.T, *home){
	"no transaction is left open": leavesNothingOpen,
}

// endings are the ways in which a transaction does not end by itself.
var endings = map[string]func(t *testing.T, s backends.Store){
	"a refused entry": func(t *testing.T, s backends.Store) {
		fn := func(context.Context, backends.Tx) error { return nil }
		requireRefused(t, s.Update(context.Background(), epoch+1, fn), backends.Active)
		requireRefused(t, s.View(context.Background(), epoch+1, fn), backends.Active)
	},
	"a failed function": func(t *testing.T, s backends.Store) {
		require.ErrorIs(t, tryUpdate(s, func(tx backends.Tx) error {
			_, _ = tx.Exec(addCounter, "lost", 1)
			return errOwn
		}), errOwn)
		require.ErrorIs(t, view(s, func(tx backends.Tx) error { return errors.Join(readA(tx), errOwn) }), errOwn)
	},
	"a failed statement": func(t *testing.T, s backends.Store) {
		require.ErrorIs(t, tryUpdate(s, func(tx backends.Tx) error {
			_, err := tx.Exec(addCounter, "a", 1)
			return err
		}), backends.ErrUnique)
	},
	"a failed statement that is hidden": func(t *testing.T, s backends.Store) {
		require.Error(t, tryUpdate(s, func(tx backends.Tx) error {
			_, _ = tx.Exec(addCounter, "a", 1)
			return nil
		}))
	},
	"rows that are not read": func(t *testing.T, s backends.Store) {
		var row struct {
			ID    string `db:"id"`
			Value int64  `db:"value"`
		}
		require.Error(t, view(s, func(tx backends.Tx) error { return tx.Get(&row, allCounters) }))
	},
	"a panic": func(t *testing.T, s backends.Store) {
		for _, run := range []func(backends.Store, func(backends.Tx) error) error{tryUpdate, view} {
			require.PanicsWithValue(t, "boom", func() {
				_ = run(s, func(tx backends.Tx) error {
					require.NoError(t, readA(tx))
					panic("boom")
				})
			})
			require.PanicsWithValue(t, "at once", func() { _ = run(s, func(backends.Tx) error { panic("at once") }) })
		}
	},
	"a goroutine that ends": func(t *testing.T, s backends.Store) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = tryUpdate(s, func(tx backends.Tx) error {
				_, _ = tx.Exec(addCounter, "lost", 1)
				runtime.Goexit()
				return nil
			})
		}()
		<-ended
	},
	"a context that ends between statements": func(t *testing.T, s backends.Store) {
		ctx, cancel := context.WithCancel(context.Background())
		require.ErrorIs(t, s.Update(ctx, epoch, func(_ context.Context, tx backends.Tx) error {
			_, _ = tx.Exec(addCounter, "lost", 1)
			cancel()
			_, err := tx.Exec(addCounter, "lost too", 1)
			return err
		}), context.Canceled)
		ctx, cancel = context.WithCancel(context.Background())
		require.ErrorIs(t, s.View(ctx, epoch, func(_ context.Context, tx backends.Tx) error {
			require.NoError(t, readA(tx))
			cancel()
			return readA(tx)
		}), context.Canceled)
	},
	"a context that ends before the commit": func(t *testing.T, s backends.Store) {
		ctx, cancel := context.WithCancel(context.Background())
		require.ErrorIs(t, s.Update(ctx, epoch, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(addCounter, "lost", 1)
			cancel()
			return err
		}), context.Canceled)
	},
	// For a row where several may write, for the writer's turn where one may.
	"a context that ends while waiting": func(t *testing.T, s backends.Store) {
		update(t, s, func(tx backends.Tx) error {
			var v int64
			require.NoError(t, tx.Get(&v, bumpCounter, "a"))
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, s.Update(ctx, epoch, func(_ context.Context, tx backends.Tx) error {
				return tx.Get(&v, bumpCounter, "a")
			}), context.DeadlineExceeded)
			return nil
		})
	},
	"one read, found, not found and refused": func(t *testing.T, s backends.Store) {
		ctx := context.Background()
		var v int64
		require.NoError(t, s.Get(ctx, epoch, &v, getCounter, "a"))
		require.ErrorIs(t, s.Get(ctx, epoch, &v, getCounter, "nobody"), sql.ErrNoRows)
		requireRefused(t, s.Get(ctx, epoch+1, &v, getCounter, "a"), backends.Active)
		require.Error(t, s.Get(ctx, epoch, &v, allCounters))
	},
	"a mover's function that fails": func(t *testing.T, s backends.Store) {
		require.ErrorIs(t, s.Read(context.Background(), func(r backends.Reader) error {
			_, err := r.Count(counters)
			require.NoError(t, err)
			return errOwn
		}), errOwn)
		require.Panics(t, func() { _ = s.Read(context.Background(), func(backends.Reader) error { panic("boom") }) })
	},
	"a stale mover": func(t *testing.T, s backends.Store) {
		require.ErrorIs(t, s.Barrier(context.Background(), token(), patience), backends.ErrStaleToken)
		require.ErrorIs(t, s.Apply(context.Background(), token(), backends.Batch{Keys: []backends.Key{counterKey("a")}}), backends.ErrStaleToken)
	},
}

func readA(tx backends.Tx) error {
	var v int64
	return tx.Get(&v, getCounter, "a")
}

func leavesNothingOpen(t *testing.T, h *home) {
	s := h.storefront(t)
	put(t, s, "a", 1)
	put(t, s, "b", 1)
	for name, end := range endings {
		end(t, s)
		// database/sql rolls back on a goroutine of its own when a context has ended.
		for began := time.Now(); h.Unended(t, s.Place()) > 0; {
			require.Less(t, time.Since(began), patience, name)
		}
	}
	requireAbsent(t, s, "lost")
	requireAbsent(t, s, "lost too")
	update(t, s, func(tx backends.Tx) error { // the probe sees one that is open
		var v int64
		require.NoError(t, tx.Get(&v, bumpCounter, "a"))
		require.Positive(t, h.Unended(t, s.Place()))
		return nil
	})
	require.NoError(t, view(s, func(tx backends.Tx) error {
		var v int64
		require.NoError(t, tx.Get(&v, getCounter, "a"))
		require.Positive(t, h.Unended(t, s.Place()))
		return nil
	}))
}
