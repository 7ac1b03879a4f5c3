package auth

import (
	"context"
	"encoding/hex"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
)

// limits slow down guessing. They live in the control database, outside of any
// login's transaction, hold for accounts that do not exist as well, and know
// addresses only as keyed digests.
type limits struct {
	db   *control.DB
	keys *crypto.Keyring
}

const (
	freeFailures  = 5
	longestBlock  = 15 * time.Minute
	forgetFailure = 24 * time.Hour
)

func (l *limits) key(storefront backends.StorefrontID, emailKey string) string {
	return hex.EncodeToString(l.keys.HMAC("login limit", []byte(storefront), []byte(emailKey)))
}

// check refuses while the account is blocked.
func (l *limits) check(ctx context.Context, key string) error {
	var left time.Duration
	err := l.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		limit, err := findLimit(tx, key)
		left = time.Duration(limit.BlockedUntil-tx.Now()) * time.Microsecond
		return err
	})
	if err == nil && left > 0 {
		err = fault.New(fault.TooMany, "too_many_attempts", "Too many attempts; wait before the next one.").Retry(int(left/time.Second) + 1)
	}
	return err
}

// failed counts a failure; from the sixth in a row on, each doubles the wait.
func (l *limits) failed(ctx context.Context, key string) error {
	return l.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		limit, err := findLimit(tx, key)
		if err != nil {
			return err
		}
		if tx.Now()-limit.UpdatedAt > forgetFailure.Microseconds() {
			limit.Failures = 0
		}
		limit.Failures++
		if over := limit.Failures - freeFailures; over > 0 {
			wait := min(longestBlock, time.Second<<min(over-1, 20))
			limit.BlockedUntil = tx.Now() + wait.Microseconds()
		}
		return saveLimit(tx, key, limit)
	})
}

func (l *limits) succeeded(ctx context.Context, key string) error {
	return l.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return dropLimit(tx, key) })
}
