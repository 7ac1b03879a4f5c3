package auth

import (
	"context"
	"encoding/hex"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/platform/clock"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
)

// limits slow down guessing. They live in the control database, outside of any
// login's transaction, hold for accounts that do not exist as well, and know
// addresses only as keyed digests. While the control database does not answer,
// each instance keeps limits of the same size in memory.
type limits struct {
	db    *control.DB
	keys  *crypto.Keyring
	clock clock.Clock

	mu     sync.Mutex
	memory map[string]limit // by key; only what was counted without the control database
}

const (
	freeFailures  = 5
	longestBlock  = 15 * time.Minute
	forgetFailure = 24 * time.Hour
	mostInMemory  = 100_000
)

func newLimits(db *control.DB, keys *crypto.Keyring) *limits {
	return &limits{db: db, keys: keys, clock: clock.System, memory: map[string]limit{}}
}

func (l *limits) key(storefront backends.StorefrontID, emailKey string) string {
	return hex.EncodeToString(l.keys.HMAC("login limit", []byte(storefront), []byte(emailKey)))
}

// check refuses while the account is blocked.
func (l *limits) check(ctx context.Context, key string) error {
	var left int64
	err := l.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		found, err := findLimit(tx, key)
		left = found.BlockedUntil - tx.Now()
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.mu.Lock()
	remembered := l.memory[key].BlockedUntil - l.clock().UnixMicro()
	l.mu.Unlock()
	if err != nil || remembered > left { // what was counted in an outage holds after it
		left = remembered
	}
	if left > 0 {
		return fault.New(fault.TooMany, "too_many_attempts", "Too many attempts; wait before the next one.").Retry(int(left/time.Second.Microseconds()) + 1)
	}
	return nil
}

// failed counts a failure; from the sixth in a row on, each doubles the wait.
func (l *limits) failed(ctx context.Context, key string) error {
	err := l.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		found, err := findLimit(tx, key)
		if err != nil {
			return err
		}
		return saveLimit(tx, key, found.oneMore(tx.Now()))
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.memory[key]; !known && len(l.memory) >= mostInMemory {
		for victim := range l.memory { // any: who fills the memory gains one more guess at a random account
			delete(l.memory, victim)
			break
		}
	}
	l.memory[key] = l.memory[key].oneMore(l.clock().UnixMicro())
	return nil
}

// oneMore is the limit after one more failure, at a time in microseconds.
func (l limit) oneMore(now int64) limit {
	if now-l.UpdatedAt > forgetFailure.Microseconds() {
		l.Failures = 0
	}
	l.Failures++
	l.UpdatedAt = now
	if over := l.Failures - freeFailures; over > 0 {
		l.BlockedUntil = now + min(longestBlock, time.Second<<min(over-1, 20)).Microseconds()
	}
	return l
}

// succeeded forgets the failures. One that cannot be forgotten only delays: it
// never keeps somebody with the right password out.
func (l *limits) succeeded(ctx context.Context, key string) {
	l.mu.Lock()
	delete(l.memory, key)
	l.mu.Unlock()
	_ = l.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return dropLimit(tx, key) })
}
