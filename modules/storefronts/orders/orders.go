// Package orders takes customers' orders and keeps them. It is a part of the
// storefronts module.
package orders

import (
	"encoding/json"
	"fmt"
)

// Order is what somebody bought. It keeps copies: what the customer, an address
// or a product becomes later does not change it. Amounts are in minor units.
type Order struct {
	ID                string  `db:"id"`
	ExternalID        *string `db:"external_id"` // where it was imported from
	Number            int64   `db:"number"`      // what people call it; unique at the storefront
	CustomerID        *string `db:"customer_id"` // nil: a guest's
	Email             string  `db:"email"`       // as typed
	EmailKey          string  `db:"email_key"`   // see customers.EmailKey; "" when it is none
	Currency          string  `db:"currency"`    // ISO 4217
	Subtotal          int64   `db:"subtotal"`
	Shipping          int64   `db:"shipping"`
	Tax               int64   `db:"tax"`
	Discount          int64   `db:"discount"`
	DiscountCode      string  `db:"discount_code"`
	Total             int64   `db:"total"`
	Refunded          int64   `db:"refunded"`
	FinancialStatus   string  `db:"financial_status"`
	FulfillmentStatus string  `db:"fulfillment_status"`
	PlacedAt          int64   `db:"placed_at"` // microseconds UTC
	PaidAt            *int64  `db:"paid_at"`
	FulfilledAt       *int64  `db:"fulfilled_at"`
	CancelledAt       *int64  `db:"cancelled_at"`
	ShippingAddress   Address `db:"shipping_address"`
	BillingAddress    Address `db:"billing_address"`
	ShippingMethod    string  `db:"shipping_method"`
	PaymentMethod     string  `db:"payment_method"`
	PaymentReference  string  `db:"payment_reference"`
	Note              string  `db:"note"`
	Tags              string  `db:"tags"`
	Source            string  `db:"source"` // "shop", or where it was imported from
	CreatedAt         int64   `db:"created_at"`
	UpdatedAt         int64   `db:"updated_at"`
	Version           int64   `db:"version"`

	Lines []Line `db:"-"` // by position
}

// Line is one thing that was ordered.
type Line struct {
	ID                string  `db:"id"`
	OrderID           string  `db:"order_id"`
	Position          int64   `db:"position"`   // from 1
	VariantID         *string `db:"variant_id"` // nil: not, or no longer, in the catalogue
	Title             string  `db:"title"`
	SKU               string  `db:"sku"`
	Vendor            string  `db:"vendor"`
	Quantity          int64   `db:"quantity"` // 0: it was taken off the order
	Price             int64   `db:"price"`    // of one
	CompareAtPrice    *int64  `db:"compare_at_price"`
	Discount          int64   `db:"discount"` // of the whole line
	RequiresShipping  bool    `db:"requires_shipping"`
	Taxable           bool    `db:"taxable"`
	FulfillmentStatus string  `db:"fulfillment_status"`
}

// Address is an order's copy of an address, kept as a JSON text whose keys are in
// the order of the alphabet. The zero value stands for none.
type Address struct {
	City       string `json:"city,omitempty"`
	Company    string `json:"company,omitempty"`
	Country    string `json:"country,omitempty"`
	Line1      string `json:"line1,omitempty"`
	Line2      string `json:"line2,omitempty"`
	Name       string `json:"name,omitempty"`
	Phone      string `json:"phone,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Province   string `json:"province,omitempty"`
}

// Text is how the address is kept.
func (a Address) Text() string {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // a struct of strings
	}
	return string(text)
}

// Scan implements sql.Scanner.
func (a *Address) Scan(from any) error {
	*a = Address{}
	switch text := from.(type) {
	case string:
		return json.Unmarshal([]byte(text), a)
	case []byte:
		return json.Unmarshal(text, a)
	}
	return fmt.Errorf("an order's address is a text, not %T", from)
}
