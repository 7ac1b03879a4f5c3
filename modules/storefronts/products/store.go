package products

import "smartseller/backends"

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
