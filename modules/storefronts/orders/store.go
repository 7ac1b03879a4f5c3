package orders

import "smartseller/backends"

var (
	ordersTable = &backends.Table{
		Name: "orders",
		Columns: []backends.Column{
			backends.T("id"), backends.NT("external_id"), backends.I("number"), backends.NT("customer_id"), backends.T("email"),
			backends.T("email_key"), backends.T("currency"), backends.I("subtotal"), backends.I("shipping"), backends.I("tax"),
			backends.I("discount"), backends.T("discount_code"), backends.I("total"), backends.I("refunded"), backends.T("financial_status"),
			backends.T("fulfillment_status"), backends.I("placed_at"), backends.NI("paid_at"), backends.NI("fulfilled_at"),
			backends.NI("cancelled_at"), backends.T("shipping_address"), backends.T("billing_address"), backends.T("shipping_method"),
			backends.T("payment_method"), backends.T("payment_reference"), backends.T("note"), backends.T("tags"), backends.T("source"),
			backends.I("created_at"), backends.I("updated_at"), backends.I("version"),
		},
		Uniques: []backends.Unique{
			{Name: "orders_external", Columns: []string{"external_id"}},
			{Name: "orders_number", Columns: []string{"number"}},
		},
		References: []backends.Reference{{Column: "customer_id", Table: "customers"}},
	}
	linesTable = &backends.Table{
		Name: "order_lines",
		Columns: []backends.Column{
			backends.T("id"), backends.T("order_id"), backends.I("position"), backends.NT("variant_id"), backends.T("title"), backends.T("sku"),
			backends.T("vendor"), backends.I("quantity"), backends.I("price"), backends.NI("compare_at_price"), backends.I("discount"),
			backends.I("requires_shipping"), backends.I("taxable"), backends.T("fulfillment_status"),
		},
		Uniques: []backends.Unique{{Name: "order_lines_position", Columns: []string{"order_id", "position"}}},
		References: []backends.Reference{
			{Column: "order_id", Table: "orders"},
			{Column: "variant_id", Table: "product_variants"},
		},
	}
	countersTable = &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
)

// Tables are the package's tenant tables.
func Tables() []*backends.Table { return []*backends.Table{ordersTable, linesTable, countersTable} }
