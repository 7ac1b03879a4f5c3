package imports

import (
	"maps"
	"slices"
	"strings"

	"smartseller/backends"
	"smartseller/modules/storefronts/orders"
	"smartseller/modules/storefronts/products"
)

// label is what an export calls a variant in an order: "Kite - Red / S".
type label struct{ product, variant string }

const labelDash = " - "

// labels are the ways to read what an order calls a variant: a product's title may
// have a dash of its own.
func labels(text string) []label {
	found := []label{{product: text}}
	for at := 0; ; {
		n := strings.Index(text[at:], labelDash)
		if n < 0 {
			return found
		}
		found = append(found, label{text[:at+n], text[at+n+len(labelDash):]})
		at += n + len(labelDash)
	}
}

// findVariants says which variant a line is about. It stays unsaid where none, or
// more than one, could be meant.
func findVariants(tx backends.Tx, added []orders.Order) error {
	titles := map[string]bool{}
	for _, o := range added {
		for _, l := range o.Lines {
			for _, name := range labels(l.Title) {
				titles[name.product] = true
			}
		}
	}
	sold := map[label][]products.Label{}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(titles)), backends.MaxList) {
		found, err := products.LabelsByProduct(tx, backends.List(some))
		if err != nil {
			return err
		}
		for _, v := range found {
			sold[label{v.Product, v.Title}] = append(sold[label{v.Product, v.Title}], v)
		}
	}
	for n := range added {
		for k := range added[n].Lines {
			l := &added[n].Lines[k]
			l.VariantID = meant(l, sold)
		}
	}
	return nil
}

func meant(l *orders.Line, sold map[label][]products.Label) *string {
	var candidates []products.Label
	for _, name := range labels(l.Title) {
		candidates = append(candidates, sold[name]...)
	}
	if len(candidates) > 1 {
		candidates = slices.DeleteFunc(candidates, func(v products.Label) bool { return l.SKU == "" || v.SKU != l.SKU })
	}
	if len(candidates) != 1 {
		return nil
	}
	return &candidates[0].ID
}
