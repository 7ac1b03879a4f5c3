// Package customers keeps a storefront's customers: who they are, not how they
// come in.
package customers

import (
	"strings"

	"golang.org/x/net/idna"

	"smartseller/platform/fault"
)

// Customer is an account at one storefront.
type Customer struct {
	ID              string  `db:"id"`
	Email           string  `db:"email"`     // as typed, where mail goes
	EmailKey        string  `db:"email_key"` // see EmailKey
	EmailVerifiedAt *int64  `db:"email_verified_at"`
	PasswordHash    *string `db:"password_hash"` // bcrypt; nil: cannot log in by password
	Cred            int64   `db:"cred"`          // raised by whatever makes older access tokens void
	Status          string  `db:"status"`
	FirstName       string  `db:"first_name"`
	LastName        string  `db:"last_name"`
	Phone           string  `db:"phone"` // E.164 or ""
	Locale          string  `db:"locale"`
	Marketing       bool    `db:"marketing"`
	CreatedAt       int64   `db:"created_at"` // microseconds UTC
	UpdatedAt       int64   `db:"updated_at"`
	Version         int64   `db:"version"`
}

// Active says whether the account may be used.
func (c *Customer) Active() bool { return c.Status == "active" }

// Errors of operations.
var (
	ErrEmailTaken = fault.New(fault.Conflict, "email_taken", "There is already an account with this e-mail address: log in instead.")
	ErrNotFound   = fault.New(fault.NotFound, "customer_not_found", "There is no such customer.")
	ErrStale      = fault.New(fault.Precondition, "changed_meanwhile", "It was changed in the meantime: read it again and repeat the change.")
)

// lookup maps a domain as who looks it up does (UTS #46). Unicode's own lower case would
// make another name's look-alike, such as one with a dotted capital I, that name.
var lookup = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule())

// EmailKey is the form of an address by which accounts are told apart: an
// addr-spec (RFC 5321) with an ASCII local part in lower case, at a domain as
// A-labels (IDNA 2008). There is no folding of dots or plus signs.
func EmailKey(email string) (string, error) {
	invalid := fault.InvalidField("/email", "invalid_email", "must be a plain e-mail address, such as name@example.com")
	local, domain, ok := strings.Cut(email, "@")
	if !ok || len(email) > 254 || len(local) == 0 || len(local) > 64 || strings.Contains(domain, "@") {
		return "", invalid
	}
	for i, r := range local {
		special := strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", r)
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !special || r == '.' && (i == 0 || i == len(local)-1 || local[i+1] == '.') {
			return "", invalid
		}
	}
	ascii, err := lookup.ToASCII(domain)
	if err == nil {
		ascii, err = idna.Registration.ToASCII(ascii)
	}
	if err != nil || !strings.Contains(ascii, ".") || strings.HasPrefix(ascii, ".") || strings.HasSuffix(ascii, ".") {
		return "", invalid
	}
	return strings.ToLower(local) + "@" + ascii, nil
}
