package products

import "smartseller/backends"

var (
	idsByHandle     = backends.Read(`SELECT id, handle FROM products WHERE storefront_id = $1 AND handle IN ($2)`)
	variantsByTitle = backends.Read(`SELECT v.id, p.title AS product, v.title, v.sku FROM products p
		JOIN product_variants v ON v.storefront_id = $1 AND v.product_id = p.id WHERE p.storefront_id = $1 AND p.title IN ($2)
		AND v.title IN ($3)`)
)

// IDsByHandle finds which products have those of up to backends.MaxList handles that
// are taken.
func IDsByHandle(tx backends.Tx, handles backends.List) (map[string]string, error) {
	var found []struct {
		ID     string `db:"id"`
		Handle string `db:"handle"`
	}
	if err := tx.Select(&found, idsByHandle, handles); err != nil {
		return nil, err
	}
	byHandle := make(map[string]string, len(found))
	for _, f := range found {
		byHandle[f.Handle] = f.ID
	}
	return byHandle, nil
}

// Label is what a variant is called on a bill.
type Label struct {
	ID      string `db:"id"`
	Product string `db:"product"` // its title
	Title   string `db:"title"`
	SKU     string `db:"sku"`
}

// Labels finds the variants that have one of these titles and whose products have one of
// those, up to backends.MaxList of each. Several may be called the same.
func Labels(tx backends.Tx, products, variants backends.List) (found []Label, err error) {
	err = tx.Select(&found, variantsByTitle, products, variants)
	return found, err
}
