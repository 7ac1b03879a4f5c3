package auth

import (
	"context"
	"encoding/hex"
	"errors"
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
	settleWithin  = 2 * time.Second
)

func newLimits(db *control.DB, keys *crypto.Keyring) *limits {
	return &limits{db: db, keys: keys, clock: clock.System, memory: cache.New[string, limit](mostInMemory)}
}

func (l *limits) key(storefront backends.StorefrontID, emailKey string) string {
	return hex.EncodeToString(l.keys.HMAC("login limit", []byte(storefront), []byte(emailKey)))
}

// guess is one try at an account's password. It counts as a failure from its beginning
// on, so that of guesses side by side no more are made than one after the other.
type guess struct {
	limits   *limits
	key      string
	before   limit // how the account stood
	after    limit // this guess counted
	inMemory bool  // for want of the control database
}

// begin counts a guess; it refuses while the account is blocked. The guess must end.
func (l *limits) begin(ctx context.Context, key string) (guess, error) {
	g := guess{limits: l, key: key}
	remembered, _ := l.memory.Get(key)
	if err := remembered.refusal(l.clock().UnixMicro()); err != nil { // what was counted in an outage holds after it
		return g, err
	}
	asking, enough := context.WithTimeout(ctx, settleWithin)
	defer enough()
	// Whoever is blocked is refused without a write.
	err := l.db.View(asking, func(_ context.Context, tx control.Tx) error {
		found, err := findLimit(tx, key)
		if err != nil {
			return err
		}
		return found.refusal(tx.Now())
	})
	if err == nil {
		err = l.db.Update(asking, func(_ context.Context, tx control.Tx) error { return g.count(tx) })
	}
	if err == nil || errors.Is(err, errBlocked) || ctx.Err() != nil {
		return g, err
	}
	return g, g.countInMemory()
}

func (g *guess) count(tx control.Tx) (err error) {
	if g.before, err = holdLimit(tx, g.key); err != nil {
		return err
	}
	if err := g.before.refusal(tx.Now()); err != nil {
		return err
	}
	g.after = g.before.oneMore(tx.Now())
	if err := saveLimit(tx, g.key, g.after); err != nil || !strings.HasPrefix(g.key, "00") {
		return err
	}
	// One in 256 forgets for the others.
	return dropOldLimits(tx, tx.Now()-forgetFailure.Microseconds())
}

func (g *guess) countInMemory() (refused error) {
	g.inMemory = true
	g.limits.memory.Change(g.key, func(old limit) limit {
		now := g.limits.clock().UnixMicro()
		if refused = old.refusal(now); refused != nil {
			return old
		}
		g.before, g.after = old, old.oneMore(now)
		return g.after
	})
	return refused
}

// end says what became of a guess: nil, the password was right; errCredentials, it was
// not; any other error, nobody learned anything.
func (g guess) end(ctx context.Context, err error) {
	switch {
	case err == nil: // the failures before it are forgotten, not those since
		if !g.inMemory {
			g.limits.memory.Drop(g.key)
		}
		g.settle(ctx, func(l limit, _ int64) limit { return g.takenBack(l, g.after.Failures) })
	case !errors.Is(err, errCredentials):
		g.settle(ctx, func(l limit, _ int64) limit { return g.takenBack(l, 1) })
	case g.after.BlockedUntil > 0: // the wait begins now
		g.settle(ctx, func(l limit, now int64) limit {
			if l.BlockedUntil == g.after.BlockedUntil {
				l.BlockedUntil += now - g.after.UpdatedAt
			}
			return l
		})
	}
}

// takenBack is a limit without so many failures, and without the wait that this guess
// began with.
func (g guess) takenBack(l limit, failures int64) limit {
	l.Failures = max(0, l.Failures-failures)
	if l.BlockedUntil == g.after.BlockedUntil {
		l.BlockedUntil = g.before.BlockedUntil
	}
	return l
}

// settle changes how the account stands, also when whoever guessed has left. What cannot
// be changed only delays: it never keeps somebody with the right password out.
func (g guess) settle(ctx context.Context, change func(l limit, now int64) limit) {
	l := g.limits
	if g.inMemory {
		l.memory.Change(g.key, func(old limit) limit { return change(old, l.clock().UnixMicro()) })
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	_ = l.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		held, err := holdLimit(tx, g.key)
		if err != nil {
			return err
		}
		if held = change(held, tx.Now()); held.Failures == 0 {
			return dropLimit(tx, g.key)
		}
		return saveLimit(tx, g.key, held)
	})
}

// limit is how an account stands.
type limit struct {
	Failures     int64 `db:"failures"` // in a row
	BlockedUntil int64 `db:"blocked_until"`
	UpdatedAt    int64 `db:"updated_at"`
}

var errBlocked = fault.New(fault.TooMany, "too_many_attempts", "Too many attempts; wait before the next one.")

// refusal is errBlocked while the account is blocked, at a time in microseconds.
func (l limit) refusal(now int64) error {
	if left := l.BlockedUntil - now; left > 0 {
		return errBlocked.Retry(int(left/time.Second.Microseconds()) + 1)
	}
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
