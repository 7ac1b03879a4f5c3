package auth

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
)

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
		for range freeFailures {
			require.NoError(t, l.check(ctx, "a"), name)
			require.NoError(t, l.failed(ctx, "a"), name)
		}
		require.NoError(t, l.check(ctx, "a"), name)
		for range 4 {
			require.NoError(t, l.failed(ctx, "a"), name)
		}
		err := l.check(ctx, "a")
		var refused *fault.Error
		require.True(t, errors.As(err, &refused), name)
		require.Equal(t, fault.TooMany, refused.Kind, name)
		require.InDelta(t, 8, refused.RetryAfter, 2, name)
		require.NoError(t, l.check(ctx, "b"), name)
		l.succeeded(ctx, "a")
		require.NoError(t, l.check(ctx, "a"), name)
	}
}
