package customers

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	"smartseller/platform/fault"
)

// MaxAddresses is how many addresses one customer may keep.
const MaxAddresses = 50

// Address is one of a customer's addresses. A customer who has any has exactly one
// default.
type Address struct {
	ID         string `db:"id"`
	CustomerID string `db:"customer_id"`
	AddressFields
	Default   bool  `db:"is_default"`
	CreatedAt int64 `db:"created_at"` // microseconds UTC
	UpdatedAt int64 `db:"updated_at"`
	Version   int64 `db:"version"`
}

// AddressFields are what a customer writes of an address.
type AddressFields struct {
	FirstName  string `db:"first_name"`
	LastName   string `db:"last_name"`
	Company    string `db:"company"`
	Line1      string `db:"line1"`
	Line2      string `db:"line2"`
	City       string `db:"city"`
	Province   string `db:"province"`
	PostalCode string `db:"postal_code"`
	Country    string `db:"country"` // ISO 3166-1 alpha-2
	Phone      string `db:"phone"`   // E.164 or ""
}

// Errors of operations on addresses.
var (
	ErrNoAddress        = fault.New(fault.NotFound, "address_not_found", "There is no such address.")
	ErrTooManyAddresses = fault.New(fault.Conflict, "limit_reached", "A customer keeps at most %d addresses: delete one first.", MaxAddresses)
)

// Check says which value of an address is not acceptable, as a *fault.Error.
func (f AddressFields) Check() error {
	for _, field := range []struct {
		pointer, value string
		most           int // characters; the document says the same
		required       bool
	}{
		{"/first_name", f.FirstName, maxName, false},
		{"/last_name", f.LastName, maxName, false},
		{"/company", f.Company, 100, false},
		{"/line1", f.Line1, 200, true},
		{"/line2", f.Line2, 200, false},
		{"/city", f.City, 100, true},
		{"/province", f.Province, 100, false},
		{"/postal_code", f.PostalCode, 20, false},
	} {
		if utf8.RuneCountInString(field.value) > field.most {
			return tooLong(field.pointer, field.most)
		}
		if strings.ContainsFunc(field.value, unicode.IsControl) {
			return fault.InvalidField(field.pointer, "invalid_text", "must be plain text on one line")
		}
		if field.required && strings.TrimSpace(field.value) == "" {
			return fault.InvalidField(field.pointer, "required", "must not be empty")
		}
	}
	if region, err := language.ParseRegion(f.Country); err != nil || !region.IsCountry() || region.String() != f.Country || region.Canonicalize() != region { // UK is no code
		return fault.InvalidField("/country", "unknown_country", "must be an ISO 3166-1 code of two capital letters, such as DE")
	}
	return CheckPhone(f.Phone)
}

func tooLong(pointer string, most int) error {
	return fault.InvalidField(pointer, "too_long", fmt.Sprintf("must have at most %d characters", most))
}

// CheckPhone refuses a phone number that is neither in E.164 form nor empty.
func CheckPhone(phone string) error {
	if phone != "" && !phoneForm.MatchString(phone) {
		return fault.InvalidField("/phone", "invalid_phone", "must be a number in E.164 form, such as +4930123456, or empty")
	}
	return nil
}
