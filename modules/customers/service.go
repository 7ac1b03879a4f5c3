package customers

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"smartseller/backends"
	"smartseller/platform/clock"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/page"
)

// Service is what a customer does with their own account. Safe for concurrent use.
type Service struct {
	store   backends.TenantStore
	keys    *crypto.Keyring
	cursors *page.Cursors
}

// NewService makes the service; the keys seal the cursors of its lists and name the
// requests that come again.
func NewService(store backends.TenantStore, keys *crypto.Keyring) *Service {
	return &Service{store: store, keys: keys, cursors: page.NewCursors(keys, clock.System)}
}

// Profile is what a customer may write of themselves.
type Profile struct {
	FirstName, LastName, Phone, Locale string
	Marketing                          bool
}

// Profile reads a customer.
func (s *Service) Profile(ctx context.Context, storefront backends.StorefrontID, id string) (*Customer, error) {
	var c Customer
	return orNotFound(&c, s.store.Get(ctx, storefront, &c, selectByID, id))
}

// SetProfile replaces the profile of the version that was read. When it has changed
// since: ErrStale, and the customer as they are now.
func (s *Service) SetProfile(ctx context.Context, storefront backends.StorefrontID, id string, version int64, p Profile) (c *Customer, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	err = s.store.Update(ctx, storefront, func(_ context.Context, tx backends.Tx) error {
		n, err := tx.Exec(updateProfile, id, p.FirstName, p.LastName, p.Phone, p.Locale, p.Marketing, tx.Now().UnixMicro(), version)
		if err != nil {
			return err
		}
		if c, err = ByID(tx, id); err == nil && n == 0 {
			return ErrStale
		}
		return err
	})
	return c, err
}

var (
	phoneForm  = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	localeForm = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z]{2})?$`)
)

func (p Profile) check() error {
	if err := CheckPhone(p.Phone); err != nil {
		return err
	}
	if p.Locale != "" && !localeForm.MatchString(p.Locale) {
		return fault.InvalidField("/locale", "invalid_locale", "must be a language tag such as de or de-AT, or empty")
	}
	return errors.Join(CheckName("/first_name", p.FirstName), CheckName("/last_name", p.LastName))
}

const maxName = 100 // characters

// CheckName refuses names that no person has: control characters, addresses of
// scripts, and more than 100 characters.
func CheckName(pointer, name string) error {
	if utf8.RuneCountInString(name) > maxName {
		return tooLong(pointer, maxName)
	}
	if strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(strings.ToLower(name), "javascript:") {
		return fault.InvalidField(pointer, "invalid_name", "must be plain text")
	}
	return nil
}
