package orders

import (
	"fmt"
	"strings"
	"unicode"

	"smartseller/modules/customers"
	"smartseller/platform/fault"
)

// Limits of an order.
const (
	MaxWanted   = 100    // lines
	MaxQuantity = 10_000 // of one line
)

// Wanted is what a customer asks for.
type Wanted struct {
	Lines             []WantedLine
	ShippingAddressID string // "": the customer's default
	BillingAddressID  string // "": the shipping address
	Note              string
}

// WantedLine is so many of one variant.
type WantedLine struct {
	VariantID string
	Quantity  int64
}

func (w Wanted) check() error {
	if len(w.Lines) == 0 || len(w.Lines) > MaxWanted {
		return fault.InvalidField("/lines", "invalid_count", fmt.Sprintf("must be 1 to %d lines", MaxWanted))
	}
	seen := map[string]bool{}
	for i, l := range w.Lines {
		if l.Quantity < 1 || l.Quantity > MaxQuantity {
			return fault.InvalidField(pointer(i, "quantity"), "invalid_quantity", fmt.Sprintf("must be 1 to %d", MaxQuantity))
		}
		if seen[l.VariantID] {
			return fault.InvalidField(pointer(i, "variant_id"), "duplicate", "is ordered by a line before: add up the quantities")
		}
		seen[l.VariantID] = true
	}
	if strings.ContainsFunc(w.Note, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }) {
		return fault.InvalidField("/note", "invalid_text", "must be plain text")
	}
	return nil
}

// pointer names a value of a line of the request.
func pointer(line int, name string) string { return fmt.Sprintf("/lines/%d/%s", line, name) }

// ships says whether anything of the order must be sent.
func (o *Order) ships() bool {
	for _, l := range o.Lines {
		if l.RequiresShipping {
			return true
		}
	}
	return false
}

func addressOf(a *customers.Address) Address {
	return Address{
		City: a.City, Company: a.Company, Country: a.Country, Line1: a.Line1, Line2: a.Line2, Name: strings.TrimSpace(a.FirstName + " " + a.LastName),
		Phone: a.Phone, PostalCode: a.PostalCode, Province: a.Province,
	}
}
