package shopify

import (
	"io"
	"iter"
	"strings"
)

// Product is the rows of one handle in a product export.
type Product struct {
	Line        int
	Handle      string
	Title       string
	Description string // HTML, as the shop wrote it
	Vendor      string
	Kind        string
	Tags        string
	Published   bool
	Variants    []Variant
}

// Variant is one that can be bought. Position counts from 1.
type Variant struct {
	Line           int
	Position       int
	Title          string // its options' values, "" for the only one
	SKU            string
	Barcode        string
	Price          int64 // minor units
	CompareAtPrice *int64
	Inventory      *int64 // nil: not counted
	Grams          int64
}

// Products reads a product export, whose prices are in that currency. An error
// ends the sequence.
func Products(file string, r io.Reader, currency string) iter.Seq2[*Product, error] {
	return func(yield func(*Product, error) bool) {
		scale, ok := scaleOf(currency)
		if !ok {
			yield(nil, &Error{File: file, Detail: "the shop's currency is not one of ISO 4217"})
			return
		}
		s, err := open(file, r, "Handle", "Title", "Option1 Value", "Variant Price")
		if err != nil {
			yield(nil, err)
			return
		}
		var p *Product // whose rows are being read
		for {
			ok, err := s.next()
			if err == nil && ok && p != nil && s.code("Handle") == p.Handle {
				err = s.more(p, scale)
			} else if err == nil {
				if p != nil && !yield(p, nil) || !ok {
					return
				}
				p, err = s.product(scale)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// product reads the first row of a handle.
func (s *sheet) product(scale int) (*Product, error) {
	p := &Product{
		Line: s.line, Handle: s.neededCode("Handle"), Title: s.needed("Title"), Description: s.text("Body (HTML)"), Vendor: s.word("Vendor"),
		Kind: s.word("Type"), Tags: s.word("Tags"), Published: s.truth("Published", true),
	}
	return p, s.more(p, scale)
}

// more reads a row's variant. A row without one has a further picture.
func (s *sheet) more(p *Product, scale int) error {
	if s.text("Option1 Value") == "" && s.text("Variant Price") == "" && s.text("Variant SKU") == "" {
		return s.judge()
	}
	if len(p.Variants) == MaxVariants {
		s.fail("Handle", "the product has more than %d variants", MaxVariants)
		return s.judge()
	}
	v := Variant{
		Line: s.line, Position: len(p.Variants) + 1, Title: s.options(), SKU: s.code("Variant SKU"), Barcode: s.code("Variant Barcode"),
		Price: s.money("Variant Price", scale), Grams: s.grams("Variant Grams"),
	}
	s.present("Variant Price", s.text("Variant Price"))
	if s.text("Variant Compare At Price") != "" {
		before := s.money("Variant Compare At Price", scale)
		v.CompareAtPrice = &before
	}
	if n := s.number("Variant Inventory Qty"); s.text("Variant Inventory Tracker") != "" {
		v.Inventory = n
	}
	p.Variants = append(p.Variants, v)
	return s.judge()
}

// options are the values that tell a variant from the others. A product without
// options has a variant that the export calls Default Title.
func (s *sheet) options() string {
	var values []string
	for _, column := range []string{"Option1 Value", "Option2 Value", "Option3 Value"} {
		if value := s.word(column); value != "" && value != "Default Title" {
			values = append(values, value)
		}
	}
	return strings.Join(values, " / ")
}
