package auth

import (
	"context"
	"runtime"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"smartseller/platform/fault"
)

// passwordCost keeps one hash under 200 ms on a small core.
const passwordCost = 10

// longestPassword in bytes: bcrypt would ignore what comes behind.
const longestPassword = 72

var errBusy = fault.New(fault.Unavailable, "busy", "Too many people are logging in at this moment; try again.").Retry(1)

// passwords hashes behind a gate: hashing is meant to be slow, so a crowd that logs
// in at once must queue, within bounds, and leave the processors to others.
type passwords struct {
	slots chan struct{}
	queue chan struct{}
	dummy []byte // what unknown accounts are compared with, so that they take as long
}

func newPasswords() (*passwords, error) {
	dummy, err := bcrypt.GenerateFromPassword([]byte("nobody's"), passwordCost)
	n := max(1, runtime.GOMAXPROCS(0))
	return &passwords{slots: make(chan struct{}, n), queue: make(chan struct{}, 16*n), dummy: dummy}, err
}

// enter waits for a slot, at most two seconds.
func (p *passwords) enter(ctx context.Context) (leave func(), err error) {
	select {
	case p.queue <- struct{}{}:
	default:
		return nil, errBusy
	}
	defer func() { <-p.queue }()
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-timer.C:
		return nil, errBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if n := utf8.RuneCountInString(password); n < 8 || n > 128 || len(password) > longestPassword {
		return "", fault.InvalidField("/password", "invalid_password", "must have at least 8 characters and at most 72 bytes")
	}
	leave, err := p.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	hashed, err := bcrypt.GenerateFromPassword([]byte(password), passwordCost)
	return string(hashed), err
}

// matches compares with a stored hash; nil stands for an account that does not
// exist or has no password, and takes as long as any other.
func (p *passwords) matches(ctx context.Context, stored *string, password string) (bool, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	hash := p.dummy
	if stored != nil {
		hash = []byte(*stored)
	}
	tried := []byte(password)
	if len(tried) > longestPassword {
		tried = tried[:longestPassword]
	}
	same := bcrypt.CompareHashAndPassword(hash, tried) == nil
	return same && stored != nil && len(password) <= longestPassword, nil
}
