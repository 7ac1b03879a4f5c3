// Package storefronts knows which storefronts there are and on which backends
// they may live.
package storefronts

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/currency"

	"smartseller/backends"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// Storefront is a tenant.
type Storefront struct {
	ID        backends.StorefrontID `db:"id"`
	Slug      string                `db:"slug"`
	Name      string                `db:"name"`
	Currency  string                `db:"currency"` // ISO 4217
	TimeZone  string                `db:"time_zone"`
	Status    string                `db:"status"`
	CreatedAt int64                 `db:"created_at"` // microseconds UTC
	Backend   string                `db:"backend"`
	Epoch     int64                 `db:"epoch"`
	Made      int64                 `db:"made_at_epoch"` // the epoch that the place on its backend was made at
}

// Place is where the storefront's data is now.
func (s Storefront) Place() backends.Place {
	return backends.Place{Backend: s.Backend, Storefront: s.ID, Epoch: s.Made}
}

func (s Storefront) placement() backends.Placement {
	return backends.Placement{Place: s.Place(), Epoch: s.Epoch}
}

func (s Storefront) founding() founding { return founding{ID: s.ID, Backend: s.Backend} }

// founding is a place that is being made for a storefront that has not begun.
type founding struct {
	ID      backends.StorefrontID `db:"storefront_id"`
	Backend string                `db:"backend"`
}

func (f founding) place() backends.Place {
	return backends.Place{Backend: f.Backend, Storefront: f.ID, Epoch: firstEpoch}
}

// NewStorefront says what a storefront begins as.
type NewStorefront struct {
	Slug, Name, Currency, TimeZone, Backend string
}

// Errors of operations.
var (
	ErrSuspended = fault.New(fault.Forbidden, "storefront_suspended", "The storefront is suspended.")
	ErrSlugTaken = fault.New(fault.Conflict, "slug_taken", "Another storefront has this slug: choose another one.")
)

// slugForm is 3 to 63 lower-case letters, digits and single dashes; no "--", which
// also keeps out punycode.
var slugForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// reserved slugs would be mistaken for paths or people of the platform.
var reserved = []string{
	"admin", "api", "auth", "www", "static", "assets", "health", "metrics", "login", "me", "null", "undefined", "support", "billing", "docs",
}

// possible says whether a storefront may have this slug, or some may have had it before
// it was reserved.
func possible(slug string) bool { return slugForm.MatchString(slug) && !strings.Contains(slug, "--") }

func checkSlug(slug string) error {
	if !possible(slug) {
		return fault.InvalidField("/slug", "invalid_slug", "must be 3 to 63 lower-case letters, digits and single dashes, no dash at either end")
	}
	if ids.Valid(slug) { // whoever is named by id or slug would be two
		return fault.InvalidField("/slug", "invalid_slug", "must not have the form of an id")
	}
	if slices.Contains(reserved, slug) {
		return fault.InvalidField("/slug", "reserved_slug", "is reserved; choose another one")
	}
	return nil
}

func (n NewStorefront) check() error {
	if err := checkSlug(n.Slug); err != nil {
		return err
	}
	if strings.ContainsFunc(n.Name, unicode.IsControl) || strings.TrimSpace(n.Name) == "" {
		return fault.InvalidField("/name", "invalid_text", "must be plain text on one line")
	}
	if unit, err := currency.ParseISO(n.Currency); err != nil || unit.String() != n.Currency {
		return fault.InvalidField("/currency", "unknown_currency", "must be an ISO 4217 code, such as EUR")
	}
	// "Local", and none at all, would be this machine's.
	if _, err := time.LoadLocation(n.TimeZone); err != nil || n.TimeZone == "" || n.TimeZone == "Local" {
		return fault.InvalidField("/time_zone", "unknown_time_zone", "must be a name of the IANA time zone database, such as Europe/Berlin")
	}
	return nil
}
