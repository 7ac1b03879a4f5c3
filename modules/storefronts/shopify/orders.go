package shopify

import (
	"io"
	"iter"
	"regexp"
	"strconv"
)

// Order is the rows of one order in an order export. Amounts are in minor units.
type Order struct {
	Line              int
	ID                string
	Number            int64 // "#1001" is 1001
	Email             string
	Currency          string
	Subtotal          int64
	Shipping          int64
	Tax               int64
	Discount          int64
	DiscountCode      string
	Total             int64
	Refunded          int64
	FinancialStatus   string
	FulfillmentStatus string
	CreatedAt         int64 // microseconds UTC
	PaidAt            *int64
	FulfilledAt       *int64
	CancelledAt       *int64
	BillTo, ShipTo    OrderAddress
	ShippingMethod    string
	PaymentMethod     string
	PaymentReference  string
	Note              string
	Tags              string
	Lines             []OrderLine
}

// OrderAddress is the copy of an address that an order keeps.
type OrderAddress struct {
	Name, Company, Street, City, PostalCode, Province, Country, Phone string
}

// OrderLine is one thing that was ordered. Position counts from 1.
type OrderLine struct {
	Position          int
	Title             string
	SKU               string
	Vendor            string
	Quantity          int64 // 0: it was taken off the order
	Price             int64 // of one
	CompareAtPrice    *int64
	Discount          int64
	RequiresShipping  bool
	Taxable           bool
	FulfillmentStatus string
}

// Orders reads an order export. The first row of an order says everything about
// it, the rows that follow have further lines. An error ends the sequence.
func Orders(file string, r io.Reader) iter.Seq2[*Order, error] {
	return func(yield func(*Order, error) bool) {
		s, err := open(file, r, "Name", "Email", "Financial Status", "Currency", "Total", "Created at", "Id",
			"Lineitem quantity", "Lineitem name", "Lineitem price")
		if err != nil {
			yield(nil, err)
			return
		}
		var o *Order // whose rows are being read
		var name string
		for {
			ok, err := s.next()
			if err == nil && ok && o != nil && s.text("Id") == "" && s.text("Name") == name {
				err = s.orderLine(o)
			} else if err == nil {
				if o != nil && !yield(o, nil) || !ok {
					return
				}
				name = s.text("Name")
				o, err = s.order()
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// numberForm is an order's number in its name, between whatever a shop puts around it.
var numberForm = regexp.MustCompile(`^[^0-9]*([0-9]{1,15})[^0-9]*$`)

// order reads the first row of an order.
func (s *sheet) order() (*Order, error) {
	if s.text("Id") == "" && s.text("Financial Status") == "" {
		s.fail("Name", "a line of an order must follow the order's first row, which says everything else about it")
		return nil, s.judge()
	}
	s.begin = s.csv.InputOffset()
	o := &Order{
		Line: s.line, ID: s.key("Id"), Email: s.word("Email"), Currency: s.needed("Currency"),
		FinancialStatus: s.needed("Financial Status"), FulfillmentStatus: s.word("Fulfillment Status"),
		PaidAt: s.instant("Paid at"), FulfilledAt: s.instant("Fulfilled at"), CancelledAt: s.instant("Cancelled at"),
		BillTo: s.orderAddress("Billing "), ShipTo: s.orderAddress("Shipping "), Note: s.text("Notes"), Tags: s.word("Tags"),
		DiscountCode: s.word("Discount Code"), ShippingMethod: s.word("Shipping Method"), PaymentMethod: s.word("Payment Method"),
		PaymentReference: s.code("Payment Reference"),
	}
	if found := numberForm.FindStringSubmatch(s.needed("Name")); found != nil {
		o.Number, _ = strconv.ParseInt(found[1], 10, 64) // 15 digits fit
	} else {
		s.fail("Name", "must hold the order's number, such as #1001")
	}
	s.present("Created at", s.text("Created at"))
	if at := s.instant("Created at"); at != nil {
		o.CreatedAt = *at
	}
	scale, ok := scaleOf(o.Currency)
	if !ok {
		s.fail("Currency", "must be an ISO 4217 code, such as EUR")
	}
	s.present("Total", s.text("Total"))
	o.Subtotal, o.Shipping, o.Tax = s.money("Subtotal", scale), s.money("Shipping", scale), s.money("Taxes", scale)
	o.Discount, o.Total, o.Refunded = s.money("Discount Amount", scale), s.money("Total", scale), s.money("Refunded Amount", scale)
	return o, s.orderLine(o)
}

func (s *sheet) orderAddress(prefix string) OrderAddress {
	return OrderAddress{
		Name: s.word(prefix + "Name"), Company: s.word(prefix + "Company"), Street: s.word(prefix + "Street"), City: s.word(prefix + "City"), PostalCode: s.code(prefix + "Zip"),
		Province: s.word(prefix + "Province"), Country: s.word(prefix + "Country"), Phone: s.code(prefix + "Phone"),
	}
}

// orderLine reads what a row says of a thing that was ordered.
func (s *sheet) orderLine(o *Order) error {
	if len(o.Lines) == MaxLines {
		s.fail("Name", "the order has more than %d lines", MaxLines)
		return s.judge()
	}
	if !s.whole("order", "Name") {
		return s.judge()
	}
	scale, _ := scaleOf(o.Currency)
	l := OrderLine{
		Position: len(o.Lines) + 1, Title: s.needed("Lineitem name"), SKU: s.code("Lineitem sku"), Vendor: s.word("Vendor"),
		Price: s.money("Lineitem price", scale), Discount: s.money("Lineitem discount", scale), CompareAtPrice: s.moneyIfAny("Lineitem compare at price", scale),
		RequiresShipping: s.truth("Lineitem requires shipping", true), Taxable: s.truth("Lineitem taxable", true),
		FulfillmentStatus: s.word("Lineitem fulfillment status"),
	}
	s.present("Lineitem price", s.text("Lineitem price"))
	if n := s.number("Lineitem quantity"); n == nil || *n < 0 {
		s.fail("Lineitem quantity", "must be a whole number, not negative")
	} else {
		l.Quantity = *n
	}
	o.Lines = append(o.Lines, l)
	return s.judge()
}
