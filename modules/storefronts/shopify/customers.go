package shopify

import (
	"io"
	"iter"
)

// Customer is one row of a customer export.
type Customer struct {
	Line                int
	ID                  string
	Email               string // as it stands there: it may be empty or no address at all
	FirstName, LastName string
	Phone               string
	Marketing           bool
	TaxExempt           bool
	Note                string
	Tags                string
	Address             CustomerAddress
}

// CustomerAddress is a customer's default address; it may be empty.
type CustomerAddress struct {
	Company, Line1, Line2, City, Province, Country, PostalCode, Phone string
}

// Customers reads a customer export. An error ends the sequence.
func Customers(file string, r io.Reader) iter.Seq2[*Customer, error] {
	return func(yield func(*Customer, error) bool) {
		s, err := open(file, r, "Customer ID", "First Name", "Last Name", "Email")
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			ok, err := s.next()
			if !ok && err == nil {
				return
			}
			var c *Customer
			if err == nil {
				c, err = s.customer()
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func (s *sheet) customer() (*Customer, error) {
	c := &Customer{
		Line: s.line, ID: s.key("Customer ID"), Email: s.word("Email"), FirstName: s.word("First Name"), LastName: s.word("Last Name"),
		Phone: s.code("Phone"), Marketing: s.truth("Accepts Email Marketing", false), TaxExempt: s.truth("Tax Exempt", false),
		Note: s.text("Note"), Tags: s.word("Tags"),
		Address: CustomerAddress{
			Company: s.word("Default Address Company"), Line1: s.word("Default Address Address1"), Line2: s.word("Default Address Address2"),
			City: s.word("Default Address City"), Province: s.word("Default Address Province Code"), Country: s.word("Default Address Country Code"),
			PostalCode: s.code("Default Address Zip"), Phone: s.code("Default Address Phone"),
		},
	}
	if err := s.judge(); err != nil {
		return nil, err
	}
	return c, nil
}
