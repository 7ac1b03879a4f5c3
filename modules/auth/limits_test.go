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
			require.NoError(t, begin("a").failed(ctx), name)
		}
		last := begin("a")
		for range 4 { // who began before the account was blocked
			require.NoError(t, last.failed(ctx), name)
		}
		_, err := l.begin(ctx, "a")
		var refused *fault.Error
		require.True(t, errors.As(err, &refused), name)
		require.Equal(t, fault.TooMany, refused.Kind, name)
		require.InDelta(t, 8, refused.RetryAfter, 2, name)
		begin("b")
		last.succeeded(ctx)
		begin("a")
	}
}

// TestEachFailureCounts, also of those side by side, which a database of several
// instances runs at the same time.
func TestEachFailureCounts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db, err := control.Open(ctx, pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	l := newLimits(db, keys)
	g, err := l.begin(ctx, "a")
	require.NoError(t, err)
	const guesses = 24
	var wg sync.WaitGroup
	for range guesses {
		wg.Go(func() {
			if err := g.failed(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, guesses, limitOf(t, db, "a").Failures)
}

// TestLimitsAreForgotten: what nobody failed at for a day goes, what is newer stays,
// and a success forgets no failure that it has not seen.
func TestLimitsAreForgotten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := controltest.Open(t)
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	l := newLimits(db, keys)
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
	unseen, err := l.begin(ctx, "00a")
	require.NoError(t, err)
	require.NoError(t, unseen.failed(ctx))
	require.Zero(t, limitOf(t, db, "old"))
	require.EqualValues(t, 1, limitOf(t, db, "new").Failures)
	unseen.succeeded(ctx)
	require.EqualValues(t, 1, limitOf(t, db, "00a").Failures)
	seen, err := l.begin(ctx, "00a")
	require.NoError(t, err)
	seen.succeeded(ctx)
	require.Zero(t, limitOf(t, db, "00a"))
}

func limitOf(t *testing.T, db *control.DB, key string) (l limit) {
	t.Helper()
	require.NoError(t, db.View(context.Background(), func(_ context.Context, tx control.Tx) (err error) {
		l, err = findLimit(tx, key)
		return err
	}))
	return l
}
