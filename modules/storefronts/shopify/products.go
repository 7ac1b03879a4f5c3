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
	Options     []string // what variants differ in, such as "Size"; none for a product with one variant
	Images      []string // URLs
	Variants    []Variant
}

// Variant is one that can be bought. Position counts from 1.
type Variant struct {
	Position         int
	Options          []string // its values of the product's options
	Image            string   // URL or ""
	SKU              string
	Barcode          string
	Price            int64 // minor units
	CompareAtPrice   *int64
	Inventory        *int64 // nil: not counted
	Backorder        bool   // more may be sold than is there
	RequiresShipping bool
	Taxable          bool
	Grams            int64
}

// Title tells the variant from the others of its product; "" for the only one.
func (v *Variant) Title() string { return strings.Join(v.Options, " / ") }

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
	s.begin = s.csv.InputOffset()
	p := &Product{
		Line: s.line, Handle: s.key("Handle"), Title: s.needed("Title"), Description: s.text("Body (HTML)"), Vendor: s.word("Vendor"),
		Kind: s.word("Type"), Tags: s.word("Tags"), Published: s.truth("Published", true),
	}
	for _, n := range []string{"1", "2", "3"} {
		if name := s.word("Option" + n + " Name"); name != "" && s.word("Option"+n+" Value") != noOptions {
			p.Options = append(p.Options, name)
		}
	}
	return p, s.more(p, scale)
}

// more reads a row's picture and variant; it may have one alone.
func (s *sheet) more(p *Product, scale int) error {
	if !s.whole("product", "Handle") {
		return s.judge()
	}
	if image := s.word("Image Src"); image != "" {
		if len(p.Images) == MaxImages {
			s.fail("Handle", "the product has more than %d pictures", MaxImages)
			return s.judge()
		}
		p.Images = append(p.Images, image)
	}
	if s.text("Option1 Value") == "" && s.text("Variant Price") == "" && s.text("Variant SKU") == "" {
		return s.judge()
	}
	if len(p.Variants) == MaxVariants {
		s.fail("Handle", "the product has more than %d variants", MaxVariants)
		return s.judge()
	}
	v := Variant{
		Position: len(p.Variants) + 1, Options: s.options(), Image: s.word("Variant Image"), SKU: s.code("Variant SKU"),
		Barcode: s.code("Variant Barcode"), Price: s.money("Variant Price", scale), CompareAtPrice: s.moneyIfAny("Variant Compare At Price", scale),
		Grams: s.grams("Variant Grams"), Backorder: s.word("Variant Inventory Policy") == "continue",
		RequiresShipping: s.truth("Variant Requires Shipping", true), Taxable: s.truth("Variant Taxable", true),
	}
	s.present("Variant Price", s.text("Variant Price"))
	if len(v.Title())+len(v.Image)+len(v.SKU)+len(v.Barcode) > MaxVariant {
		s.fail("Option1 Value", "the variant's options, picture and codes have more than %d bytes", MaxVariant)
	}
	if n := s.number("Variant Inventory Qty"); s.text("Variant Inventory Tracker") != "" {
		v.Inventory = n
	}
	p.Variants = append(p.Variants, v)
	return s.judge()
}

// noOptions is the value that the export gives the one variant of a product
// without options.
const noOptions = "Default Title"

// options are the values that tell a variant from the others.
func (s *sheet) options() (values []string) {
	for _, column := range []string{"Option1 Value", "Option2 Value", "Option3 Value"} {
		if value := s.word(column); value != "" && value != noOptions {
			values = append(values, value)
		}
	}
	return values
}
