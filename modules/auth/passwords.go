package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"smartseller/backends"
	"smartseller/platform/fault"
)

// passwordCost keeps one hash under 200 ms on a small core.
const passwordCost = 10

// shortestPassword of a customer, in characters.
const shortestPassword = 8

// longestPassword in bytes: bcrypt would ignore what comes behind.
const longestPassword = 72

// Passwords hashes behind a gate: hashing is meant to be slow, so a crowd that logs
// in at once must queue, within bounds, and leave the processors to others. Safe for
// concurrent use.
type Passwords struct {
	cost  int
	gate  *gate
	dummy []byte // what unknown accounts are compared with, so that they take as long
}

// NewPasswords makes the gate, one per process.
func NewPasswords() (*Passwords, error) { return newPasswords(passwordCost) }

func newPasswords(cost int) (*Passwords, error) {
	dummy, err := bcrypt.GenerateFromPassword([]byte(rand.Text()), cost)
	slots := runtime.GOMAXPROCS(0)
	return &Passwords{cost: cost, gate: newGate(slots, 16*slots), dummy: dummy}, err
}

// checkPassword says whether a new password is acceptable.
func checkPassword(pointer, password string, shortest int) error {
	if n := utf8.RuneCountInString(password); n < shortest || n > 128 || len(password) > longestPassword {
		return fault.InvalidField(pointer, "invalid_password", fmt.Sprintf("must have at least %d characters and at most %d bytes", shortest, longestPassword))
	}
	return nil
}

// hash makes what is stored of a password that was checked, of somebody at this
// storefront, or of an admin: platformKey.
func (p *Passwords) hash(ctx context.Context, of backends.StorefrontID, password string) (string, error) {
	leave, err := p.gate.enter(ctx, of)
	if err != nil {
		return "", err
	}
	defer leave()
	hashed, err := bcrypt.GenerateFromPassword([]byte(password), p.cost)
	return string(hashed), err
}

// matches compares with a stored hash, as hash does; nil stands for an account that does not
// exist or has no password, and takes as long as any other.
func (p *Passwords) matches(ctx context.Context, of backends.StorefrontID, stored *string, password string) (bool, error) {
	leave, err := p.gate.enter(ctx, of)
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
