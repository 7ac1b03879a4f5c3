package imports

import (
	"smartseller/backends"
	"smartseller/modules/storefronts/products"
	"smartseller/modules/storefronts/shopify"
)

// What the check of a file lets pass, a storefront takes.
const _ = uint(products.MaxVariants - shopify.MaxVariants)

// products adds those of a batch that the storefront does not have yet.
func (j *job) products(tx backends.Tx, batch []*shopify.Product) (*tally, error) {
	t := newTally()
	handles := make(backends.List, len(batch))
	for n, p := range batch {
		handles[n] = p.Handle
	}
	held, err := products.IDsByHandle(tx, handles)
	if err != nil {
		return nil, err
	}
	var added []products.Product
	for _, p := range batch {
		id := j.named("product", p.Handle)
		switch held[p.Handle] {
		case id:
			t.unchanged++
		case "":
			held[p.Handle] = id
			t.imported++
			t.parts["variants"] += int64(len(p.Variants))
			added = append(added, j.product(p, id))
		default:
			t.omit(p.Line, handleTaken)
		}
	}
	return t, products.Insert(tx, added)
}

func (j *job) product(p *shopify.Product, id string) products.Product {
	made := products.Product{
		ID: id, Handle: p.Handle, Title: p.Title, Description: p.Description, Vendor: p.Vendor, Kind: p.Kind, Tags: p.Tags, Options: p.Options,
		Images: p.Images, Published: p.Published,
	}
	for _, v := range p.Variants {
		made.Variants = append(made.Variants, products.Variant{
			ID: j.part("variant", p.Handle, v.Position), ProductID: id, Position: int64(v.Position), Title: v.Title(), Options: v.Options,
			Image: v.Image, SKU: v.SKU, Barcode: v.Barcode, Price: v.Price, CompareAtPrice: v.CompareAtPrice, Currency: j.shop.Currency,
			Inventory: v.Inventory, Backorder: v.Backorder, RequiresShipping: v.RequiresShipping, Taxable: v.Taxable, WeightGrams: v.Grams,
		})
	}
	return made
}
