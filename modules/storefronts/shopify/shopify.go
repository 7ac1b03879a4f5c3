// Package shopify reads the CSV files that a Shopify shop exports: customers,
// products, orders. It streams: a file of any size takes the memory of its largest
// record. It judges the form of a file alone; what is worth keeping of a record
// is for the importer to say.
package shopify

import "fmt"

// Error says where a file is not what it should be. Detail never repeats what
// stands there.
type Error struct {
	File   string // as it was handed over
	Line   int    // as a text editor counts, from 1; 0: the file as a whole
	Column string // the name in the first line; "": the line as a whole
	Detail string
}

func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("%s: %s", e.File, e.Detail)
	case e.Column == "":
		return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Detail)
	}
	return fmt.Sprintf("%s, line %d, column %q: %s", e.File, e.Line, e.Column, e.Detail)
}

// Limits of a file. Shopify's own are lower; past them a file is damaged, or made
// to exhaust the reader.
const (
	MaxRecord   = 1 << 20 // bytes of one row
	MaxWhole    = 8 << 20 // bytes of all rows of a product or an order
	MaxKey      = 255     // bytes of an id or a handle
	MaxVariants = 2048    // of one product
	MaxImages   = 2048    // of one product
	MaxVariant  = 8 << 10 // bytes of what tells a variant from others: options, picture, codes
	MaxLines    = 1000    // of one order
)
