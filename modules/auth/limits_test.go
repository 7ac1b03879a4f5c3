package auth

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestLimitsHoldWithoutControlDatabase: guessing is slowed down just the same, the
// wait doubles, and another account is not touched.
func TestLimitsHoldWithoutControlDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	for name, away := range map[string]bool{"control database there": false, "control database away": true} {
		db := controltest.Open(t)
		l := newLimits(db, keys)
		now := time.Now()
		l.clock = func() time.Time { return now }
		if away {
			require.NoError(t, db.Close())
		}
		begin := func(key string) guess {
			g, err := l.begin(ctx, key)
			require.NoError(t, err, name)
			return g
		}
		for range freeFailures {
			begin("a").end(ctx, errCredentials)
		}
		for range 4 { // each time the wait is over
			now = now.Add(time.Hour)
			if !away {
				unblock(t, db, "a")
			}
			begin("a").end(ctx, errCredentials)
		}
		_, err := l.begin(ctx, "a")
		var refused *fault.Error
		require.True(t, errors.As(err, &refused), name)
		require.Equal(t, fault.TooMany, refused.Kind, name)
		require.InDelta(t, 8, refused.RetryAfter, 2, name)
		begin("b")
		now = now.Add(time.Hour)
		if !away {
			unblock(t, db, "a")
		}
		begin("a").end(ctx, nil)
		begin("a")
	}
}

// TestNoMoreGuessesSideBySide than one after the other, also at two instances at once.
func TestNoMoreGuessesSideBySide(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	postgres, err := control.Open(ctx, pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Close()) })
	files, away := controltest.Open(t), controltest.Open(t)
	require.NoError(t, away.Close())
	one := newLimits(away, keys)
	for name, instances := range map[string][2]*limits{
		"postgres": {newLimits(postgres, keys), newLimits(postgres, keys)}, "sqlite": {newLimits(files, keys), newLimits(files, keys)}, "memory": {one, one},
	} {
		var wg sync.WaitGroup
		began := make(chan guess, 24)
		for i := range cap(began) {
			wg.Go(func() {
				g, err := instances[i%2].begin(ctx, name)
				if err == nil {
					began <- g
				} else if !errors.Is(err, errBlocked) {
					t.Error(name, err)
				}
			})
		}
		wg.Wait()
		close(began)
		require.Len(t, began, freeFailures+1, name)
		for g := range began {
			g.end(ctx, errCredentials)
		}
		_, err := instances[0].begin(ctx, name)
		require.ErrorIs(t, err, errBlocked, name)
	}
	require.EqualValues(t, freeFailures+1, limitOf(t, postgres, "postgres").Failures)
}

// TestWhatAGuessLeaves: a failure, nothing, or, when nobody learned anything, what was
// there before.
func TestWhatAGuessLeaves(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	db := controltest.Open(t)
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	l := newLimits(db, keys)
	begin := func() guess {
		g, err := l.begin(context.Background(), "a")
		require.NoError(t, err)
		return g
	}
	first, second := begin(), begin()
	second.end(ctx, errCredentials)
	first.end(ctx, nil)
	require.EqualValues(t, 1, limitOf(t, db, "a").Failures, "what failed since stays")
	begin().end(ctx, errBusy)
	require.EqualValues(t, 1, limitOf(t, db, "a").Failures)
	leave()
	begin().end(ctx, nil)
	require.Zero(t, limitOf(t, db, "a"), "also when whoever guessed has left")

	was := limit{Failures: 20, BlockedUntil: 7, UpdatedAt: time.Now().UnixMicro()}
	require.NoError(t, db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
		_, err := holdLimit(tx, "a")
		return errors.Join(err, saveLimit(tx, "a", was))
	}))
	g := begin()
	_, err = l.begin(context.Background(), "a")
	require.ErrorIs(t, err, errBlocked)
	g.end(ctx, errBusy)
	now := limitOf(t, db, "a")
	require.Equal(t, []int64{20, 7}, []int64{now.Failures, now.BlockedUntil})
	g = begin()
	began := limitOf(t, db, "a")
	require.Eventually(t, func() bool { return time.Now().UnixMicro() > began.UpdatedAt+1000 }, time.Second, time.Millisecond)
	g.end(ctx, errCredentials)
	require.Greater(t, limitOf(t, db, "a").BlockedUntil, began.BlockedUntil, "the wait begins when the guess ends")
}

// TestLimitsAreForgotten: what nobody failed at for a day goes, what is newer stays.
func TestLimitsAreForgotten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := controltest.Open(t)
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		for key, age := range map[string]time.Duration{"old": forgetFailure + time.Minute, "new": forgetFailure - time.Minute} {
			if _, err := holdLimit(tx, key); err != nil {
				return err
			}
			if err := saveLimit(tx, key, limit{Failures: 1, UpdatedAt: tx.Now() - age.Microseconds()}); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err = newLimits(db, keys).begin(ctx, "00a")
	require.NoError(t, err)
	require.Zero(t, limitOf(t, db, "old"))
	require.EqualValues(t, 1, limitOf(t, db, "new").Failures)
}

// unblock lets an account's wait be over.
func unblock(t *testing.T, db *control.DB, key string) {
	t.Helper()
	require.NoError(t, db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE login_limits SET blocked_until = 0 WHERE id = $1`, key)
		return err
	}))
}

func limitOf(t *testing.T, db *control.DB, key string) (l limit) {
	t.Helper()
	require.NoError(t, db.View(context.Background(), func(_ context.Context, tx control.Tx) (err error) {
		l, err = findLimit(tx, key)
		return err
	}))
	return l
}
