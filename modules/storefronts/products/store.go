package products

import (
	"fmt"

	"smartseller/backends"
)

var (
	productsTable = &backends.Table{
		Name: "products",
		Columns: []backends.Column{
			backends.T("id"), backends.T("handle"), backends.T("title"), backends.T("description"), backends.T("vendor"), backends.T("kind"),
			backends.T("tags"), backends.T("options"), backends.T("images"), backends.I("published"), backends.I("created_at"),
			backends.I("updated_at"), backends.I("version"),
		},
		Uniques: []backends.Unique{{Name: "products_handle", Columns: []string{"handle"}}},
	}
	variantsTable = &backends.Table{
		Name: "product_variants",
		Columns: []backends.Column{
			backends.T("id"), backends.T("product_id"), backends.I("position"), backends.T("title"), backends.T("options"), backends.T("image"),
			backends.T("sku"), backends.T("barcode"), backends.I("price"), backends.NI("compare_at_price"), backends.T("currency"),
			backends.NI("inventory"), backends.I("backorder"), backends.I("requires_shipping"), backends.I("taxable"), backends.I("weight_grams"),
			backends.I("created_at"), backends.I("updated_at"), backends.I("version"),
		},
		Uniques:    []backends.Unique{{Name: "product_variants_position", Columns: []string{"product_id", "position"}}},
		References: []backends.Reference{{Column: "product_id", Table: "products"}},
	}
)

// Tables are the package's tenant tables.
func Tables() []*backends.Table { return []*backends.Table{productsTable, variantsTable} }

var (
	insertProduct = backends.Write(productsTable, `INSERT INTO products (storefront_id, id, handle, title, description, vendor, kind, tags, options, images,
		published, created_at, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, 1)`)
	insertVariant = backends.Write(variantsTable, `INSERT INTO product_variants (storefront_id, id, product_id, position, title, options, image, sku, barcode,
		price, compare_at_price, currency, inventory, backorder, requires_shipping, taxable, weight_grams, created_at, updated_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18, 1)`)
	// $3 are weighed, and those are shown that come before the page is full: nothing large is
	// read to find that out. A variant weighs the same, whatever it is, since an index alone
	// tells how many there are.
	selectPublished = backends.Read(`SELECT p.id, p.handle, p.title, p.vendor, p.kind, p.tags, p.options, p.images, f.there
		FROM products p JOIN (
			SELECT id, COUNT(*) OVER () AS there, SUM(bytes) OVER (ORDER BY handle) - bytes AS before FROM (
				SELECT w.id, w.handle, OCTET_LENGTH(w.title) + OCTET_LENGTH(w.vendor) + OCTET_LENGTH(w.kind) + OCTET_LENGTH(w.tags) + OCTET_LENGTH(w.options) +
					OCTET_LENGTH(w.images) + 500 * (SELECT COALESCE(MAX(v.position), 0) FROM product_variants v WHERE v.storefront_id = $1 AND v.product_id = w.id) AS bytes
				FROM products w WHERE w.storefront_id = $1 AND w.published = 1 AND w.handle > $2 ORDER BY w.handle LIMIT $3) AS weighed
			) AS f ON f.id = p.id
		WHERE p.storefront_id = $1 AND f.before < $4 ORDER BY p.handle`)
	selectByHandle = backends.Read(`SELECT id, handle, title, description, vendor, kind, tags, options, images FROM products
		WHERE storefront_id = $1 AND handle = $2 AND published = 1`)
	selectVariants = backends.Read(`SELECT v.id, v.product_id, v.title, v.options, v.image, v.sku, v.price, v.compare_at_price, v.currency, v.inventory,
		v.backorder, v.requires_shipping FROM products p JOIN product_variants v ON v.storefront_id = $1 AND v.product_id = p.id
		WHERE p.storefront_id = $1 AND p.id IN ($2) ORDER BY p.handle, v.position`)
)

// Insert adds new products with their variants, in a few round trips however many
// they are. A handle that is taken is a backends.UniqueError of "products_handle".
func Insert(tx backends.Tx, added []Product) error {
	now := tx.Now().UnixMicro()
	rows, variants := make([][]any, 0, len(added)), [][]any(nil)
	for i := range added {
		p := &added[i]
		if len(p.Variants) > MaxVariants {
			return fmt.Errorf("product %s has %d variants, %d are the most", p.Handle, len(p.Variants), MaxVariants)
		}
		rows = append(rows, []any{
			p.ID, p.Handle, p.Title, p.Description, p.Vendor, p.Kind, p.Tags, p.Options.Text(), p.Images.Text(), p.Published, now,
		})
		for _, v := range p.Variants {
			variants = append(variants, []any{
				v.ID, p.ID, v.Position, v.Title, v.Options.Text(), v.Image, v.SKU, v.Barcode, v.Price, v.CompareAtPrice, v.Currency, v.Inventory,
				v.Backorder, v.RequiresShipping, v.Taxable, v.WeightGrams, now,
			})
		}
	}
	if _, err := tx.ExecMany(insertProduct, rows); err != nil {
		return err
	}
	_, err := tx.ExecMany(insertVariant, variants)
	return err
}
