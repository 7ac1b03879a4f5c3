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

const (
	labelDash  = " - "
	maxLabel   = 1024 // bytes; a shop allows 255 characters of a product's title
	mostLabels = 16
)

// labels are the ways to read what an order calls a variant: a product's title may
// have a dash of its own. What no variant is called, being long or full of dashes, has none.
func labels(text string) []label {
	if len(text) > maxLabel || strings.Count(text, labelDash) >= mostLabels {
		return nil
	}
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
	titles, variants := map[string]bool{}, map[string]bool{}
	for _, o := range added {
		for _, l := range o.Lines {
			for _, name := range labels(l.Title) {
				titles[name.product], variants[name.variant] = true, true
			}
		}
	}
	sold := map[label][]products.Label{}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(titles)), backends.MaxList) {
		for called := range slices.Chunk(slices.Sorted(maps.Keys(variants)), backends.MaxList) {
			found, err := products.Labels(tx, backends.List(some), backends.List(called))
			if err != nil {
				return err
			}
			for _, v := range found {
				sold[label{v.Product, v.Title}] = append(sold[label{v.Product, v.Title}], v)
			}
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
