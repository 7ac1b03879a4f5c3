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
	wanted := map[label]bool{}
	for _, o := range added {
		for _, l := range o.Lines {
			for _, name := range labels(l.Title) {
				wanted[name] = true
			}
		}
	}
	sold := map[label][]products.Label{}
	for some := range slices.Chunk(slices.Collect(maps.Keys(wanted)), backends.MaxList) {
		if err := findSold(tx, some, sold); err != nil {
			return err
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

// findSold adds the variants that are called so.
func findSold(tx backends.Tx, names []label, sold map[label][]products.Label) error {
	var titles, variants backends.List
	for _, name := range names {
		titles, variants = append(titles, name.product), append(variants, name.variant)
	}
	found, err := products.Labels(tx, titles, variants)
	for _, v := range found {
		// Others are called by the product of one name and the variant of another.
		if name := (label{v.Product, v.Title}); slices.Contains(names, name) {
			sold[name] = append(sold[name], v)
		}
	}
	return err
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
