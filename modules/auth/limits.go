package auth

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"smartseller/backends"
	"smartseller/platform/cache"
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
	// memory has only what was counted without the control database. Whoever fills it
	// gains one more guess at a random account.
	memory *cache.Cache[string, limit]
}

const (
	freeFailures  = 5
	longestBlock  = 15 * time.Minute
	forgetFailure = 24 * time.Hour
	mostInMemory  = 100_000
)

func newLimits(db *control.DB, keys *crypto.Keyring) *limits {
	return &limits{db: db, keys: keys, clock: clock.System, memory: cache.New[string, limit](mostInMemory)}
}

func (l *limits) key(storefront backends.StorefrontID, emailKey string) string {
	return hex.EncodeToString(l.keys.HMAC("login limit", []byte(storefront), []byte(emailKey)))
}

// guess is one try at an account's password, right or wrong.
type guess struct {
	limits  *limits
	key     string
	counted bool // there may be failures to forget
}

// begin refuses while the account is blocked.
func (l *limits) begin(ctx context.Context, key string) (guess, error) {
	var found limit
	var left int64
	err := l.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		found, err = findLimit(tx, key)
		left = found.BlockedUntil - tx.Now()
		return err
	})
	if ctx.Err() != nil {
		return guess{}, ctx.Err()
	}
	remembered, known := l.memory.Get(key)
	inMemory := remembered.BlockedUntil - l.clock().UnixMicro()
	if err != nil || inMemory > left { // what was counted in an outage holds after it
		left = inMemory
	}
	if left > 0 {
		return guess{}, fault.New(fault.TooMany, "too_many_attempts", "Too many attempts; wait before the next one.").Retry(int(left/time.Second.Microseconds()) + 1)
	}
	return guess{limits: l, key: key, counted: known || err != nil || found.Failures > 0}, nil
}

// failed counts a failure; from the sixth in a row on, each doubles the wait.
func (g guess) failed(ctx context.Context) error {
	l := g.limits
	err := l.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		found, err := holdLimit(tx, g.key)
		if err != nil {
			return err
		}
		if err := saveLimit(tx, g.key, found.oneMore(tx.Now())); err != nil {
			return err
		}
		if !strings.HasPrefix(g.key, "00") { // one in 256 forgets for the others
			return nil
		}
		return dropOldLimits(tx, tx.Now()-forgetFailure.Microseconds())
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	l.memory.Change(g.key, func(old limit) limit { return old.oneMore(l.clock().UnixMicro()) })
	return nil
}

// succeeded forgets the failures. One that cannot be forgotten only delays: it
// never keeps somebody with the right password out.
func (g guess) succeeded(ctx context.Context) {
	if !g.counted {
		return // as nearly always: that spares the control database a transaction
	}
	g.limits.memory.Drop(g.key)
	_ = g.limits.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return dropLimit(tx, g.key) })
}

// limit is how an account stands.
type limit struct {
	Failures     int64 `db:"failures"` // in a row
	BlockedUntil int64 `db:"blocked_until"`
	UpdatedAt    int64 `db:"updated_at"`
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
