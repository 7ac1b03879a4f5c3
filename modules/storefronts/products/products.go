// Package products keeps what a storefront sells: products, and of each the
// variants that can be bought. It is a part of the storefronts module.
package products

import (
	"encoding/json"
	"fmt"

	"smartseller/platform/fault"
)

// ErrNotFound is the answer to a product that does not exist or is not published.
var ErrNotFound = fault.New(fault.NotFound, "product_not_found", "There is no such product.")

// Product is something that a storefront sells, in one or more variants.
type Product struct {
	ID          string `db:"id"`
	Handle      string `db:"handle"` // its name in addresses, unique at the storefront
	Title       string `db:"title"`
	Description string `db:"description"`
	Vendor      string `db:"vendor"`
	Kind        string `db:"kind"`
	Tags        string `db:"tags"`    // separated by commas
	Options     Words  `db:"options"` // what variants differ in, such as "Size"
	Images      Words  `db:"images"`  // URLs
	Published   bool   `db:"published"`
	CreatedAt   int64  `db:"created_at"` // microseconds UTC
	UpdatedAt   int64  `db:"updated_at"`
	Version     int64  `db:"version"`

	Variants []Variant `db:"-"` // by position
}

// Variant is what can be bought of a product.
type Variant struct {
	ID               string `db:"id"`
	ProductID        string `db:"product_id"`
	Position         int64  `db:"position"` // from 1
	Title            string `db:"title"`
	Options          Words  `db:"options"` // its values of the product's options
	Image            string `db:"image"`   // URL or ""
	SKU              string `db:"sku"`
	Barcode          string `db:"barcode"`
	Price            int64  `db:"price"`            // minor units
	CompareAtPrice   *int64 `db:"compare_at_price"` // what it cost before, if it is reduced
	Currency         string `db:"currency"`         // ISO 4217
	Inventory        *int64 `db:"inventory"`        // nil: not counted
	Backorder        bool   `db:"backorder"`        // more may be sold than is there
	RequiresShipping bool   `db:"requires_shipping"`
	Taxable          bool   `db:"taxable"`
	WeightGrams      int64  `db:"weight_grams"`
	CreatedAt        int64  `db:"created_at"` // microseconds UTC
	UpdatedAt        int64  `db:"updated_at"`
	Version          int64  `db:"version"`
}

// MaxVariants is how many variants one product may have.
const MaxVariants = 2048

// Has says whether so many can be sold.
func (v *Variant) Has(quantity int64) bool {
	return v.Inventory == nil || v.Backorder || *v.Inventory >= quantity
}

// Words is a list of words, kept as a JSON text.
type Words []string

// Text is how the list is kept.
func (w Words) Text() string {
	if len(w) == 0 {
		return "[]"
	}
	text, err := json.Marshal([]string(w))
	if err != nil {
		panic(err) // a list of strings
	}
	return string(text)
}

// Scan implements sql.Scanner.
func (w *Words) Scan(from any) error {
	*w = nil
	switch text := from.(type) {
	case string:
		return json.Unmarshal([]byte(text), (*[]string)(w))
	case []byte:
		return json.Unmarshal(text, (*[]string)(w))
	}
	return fmt.Errorf("a list of words is a text, not %T", from)
}
