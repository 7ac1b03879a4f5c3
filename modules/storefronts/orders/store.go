package orders

import (
	"database/sql"
	"errors"

	"smartseller/backends"
)

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

var (
	insertOrder = backends.Write(ordersTable, `INSERT INTO orders (storefront_id, id, external_id, number, customer_id, email, email_key, currency, subtotal,
		shipping, tax, discount, discount_code, total, refunded, financial_status, fulfillment_status, placed_at, paid_at, fulfilled_at, cancelled_at,
		shipping_address, billing_address, shipping_method, payment_method, payment_reference, note, tags, source, created_at, updated_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29,
		$30, $30, 1)`)
	insertLine = backends.Write(linesTable, `INSERT INTO order_lines (storefront_id, id, order_id, position, variant_id, title, sku, vendor, quantity, price,
		compare_at_price, discount, requires_shipping, taxable, fulfillment_status)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`)
	raiseNumber = backends.Write(countersTable, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, 'order_number', $2)
		ON CONFLICT (storefront_id, id) DO UPDATE SET value = excluded.value WHERE counters.value < excluded.value`)
	nextNumber = backends.Write(countersTable, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, 'order_number', 1001)
		ON CONFLICT (storefront_id, id) DO UPDATE SET value = counters.value + 1 RETURNING value`)
	selectOrder = backends.Read(`SELECT id, number, customer_id, email, currency, subtotal, shipping, tax, discount, total, refunded, financial_status,
		fulfillment_status, placed_at, fulfilled_at, cancelled_at, shipping_address, billing_address, note, version
		FROM orders WHERE storefront_id = $1 AND customer_id = $2 AND id = $3`)
	selectLines = backends.Read(`SELECT id, order_id, position, variant_id, title, sku, vendor, quantity, price, compare_at_price, discount,
		requires_shipping, taxable, fulfillment_status FROM order_lines WHERE storefront_id = $1 AND order_id = $2 ORDER BY position`)
	selectOrders = backends.Read(`SELECT id, number, currency, subtotal, shipping, tax, discount, total, refunded, financial_status,
		fulfillment_status, placed_at, fulfilled_at, cancelled_at, version FROM orders
		WHERE storefront_id = $1 AND customer_id = $2 AND (placed_at, id) < ($3, $4) AND placed_at >= $5 AND placed_at < $6
		AND ($7 = '' OR $7 = CASE WHEN cancelled_at IS NOT NULL THEN 'cancelled' WHEN fulfilled_at IS NOT NULL THEN 'fulfilled' ELSE 'open' END)
		ORDER BY placed_at DESC, id DESC LIMIT $8`)
)

// Insert adds orders that were made elsewhere, with their lines, in a few round
// trips however many they are; orders to come get numbers above theirs. A number or
// external id that is taken is a backends.UniqueError of "orders_number" or
// "orders_external".
func Insert(tx backends.Tx, added []Order) error {
	if len(added) == 0 {
		return nil
	}
	greatest := int64(0)
	for i := range added {
		greatest = max(greatest, added[i].Number)
	}
	if _, err := tx.Exec(raiseNumber, greatest); err != nil {
		return err
	}
	if err := insertOrders(tx, added); err != nil {
		return err
	}
	return insertLines(tx, added)
}

func insertOrders(tx backends.Tx, added []Order) error {
	rows := make([][]any, 0, len(added))
	for i := range added {
		o := &added[i]
		rows = append(rows, []any{
			o.ID, o.ExternalID, o.Number, o.CustomerID, o.Email, o.EmailKey, o.Currency, o.Subtotal, o.Shipping, o.Tax, o.Discount, o.DiscountCode,
			o.Total, o.Refunded, o.FinancialStatus, o.FulfillmentStatus, o.PlacedAt, o.PaidAt, o.FulfilledAt, o.CancelledAt, o.ShippingAddress.Text(),
			o.BillingAddress.Text(), o.ShippingMethod, o.PaymentMethod, o.PaymentReference, o.Note, o.Tags, o.Source, tx.Now().UnixMicro(),
		})
	}
	_, err := tx.ExecMany(insertOrder, rows)
	return err
}

func insertLines(tx backends.Tx, of []Order) error {
	var lines [][]any
	for _, o := range of {
		for _, l := range o.Lines {
			lines = append(lines, []any{
				l.ID, o.ID, l.Position, l.VariantID, l.Title, l.SKU, l.Vendor, l.Quantity, l.Price, l.CompareAtPrice, l.Discount, l.RequiresShipping,
				l.Taxable, l.FulfillmentStatus,
			})
		}
	}
	_, err := tx.ExecMany(insertLine, lines)
	return err
}

// find reads one of a customer's orders with its lines; ErrNotFound also for another
// customer's.
func find(tx backends.Tx, customer, id string) (*Order, error) {
	var o Order
	err := tx.Get(&o, selectOrder, customer, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return &o, tx.Select(&o.Lines, selectLines, id)
}
