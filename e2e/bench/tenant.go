package main

import (
	"context"
	"fmt"
	"strings"
)

// neighbours are the storefronts that share the database with the reference one.
const neighbours = 200

// idOf is the id of row n of a table: it grows, as UUIDv7 do.
func idOf(table int, n string) string {
	return fmt.Sprintf("'0190%04x-0000-7000-8000-' || lpad(to_hex(%s), 12, '0')", table, n)
}

// texts are the statements that fill a storefront with so many customers: for each
// 1.5 addresses, 3 orders with 2 lines each, 5 events and a session; and one product
// for every 100. The values are as wide as a shop's.
func texts(storefront string, customers int) []string {
	products := max(1, customers/100)
	insert := func(table, columns string, id int, values string, rows int) string {
		return fmt.Sprintf("INSERT INTO %s (storefront_id, id, %s) SELECT '%s', %s, %s FROM generate_series(1, %d) n",
			table, columns, storefront, idOf(id, "n"), values, rows)
	}
	const at, hash = "1700000000000000 + n::bigint * 1000003", "'$2a$10$' || left(md5(n::text) || md5((n + 1)::text), 53)"
	address := `'{"city":"Town ' || n % 977 || '","country":"DE","line1":"Street ' || n || '","name":"First Last","postal_code":"' || n % 99999 || '"}'`
	return []string{
		insert("customers", "email, email_key, password_hash, cred, status, first_name, last_name, phone, locale, marketing, tax_exempt, note, tags, created_at, updated_at, version", 1,
			"'customer' || n || '@example.com', 'customer' || n || '@example.com', "+hash+", 1, 'active', 'First' || n, 'Last' || n, '+49 30 ' || n, 'de', n % 2, 0, '', 'vip, news', "+at+", "+at+", 1", customers),
		insert("addresses", "customer_id, first_name, last_name, company, line1, line2, city, province, postal_code, country, phone, is_default, created_at, updated_at, version", 2,
			idOf(1, "(n + 1) / 2")+", 'First' || n, 'Last' || n, '', 'Street ' || n, '', 'Town ' || n % 977, '', (n % 99999)::text, 'DE', '+49 30 ' || n, n % 2, "+at+", "+at+", 1", customers*3/2),
		insert("sessions", "customer_id, counter, hmac_key, amr, user_agent, ip_prefix, created_at, rotated_at, last_seen_at, idle_expires_at, expires_at", 3,
			idOf(1, "n")+", n % 7, decode(md5(n::text) || md5((n + 1)::text), 'hex'), 'pwd', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36', '192.0.2.0/24', "+at+", "+at+", "+at+", 4000000000000000, 4000000000000000", customers),
		insert("products", "handle, title, description, vendor, kind, tags, options, images, published, created_at, updated_at, version", 4,
			"'product-' || n, 'Product ' || n, repeat('A thing to have. ', 20), 'Vendor', 'Kind', 'a, b', '[]', '[]', 1, "+at+", "+at+", 1", products),
		insert("orders", "number, customer_id, email, email_key, currency, subtotal, shipping, tax, discount, discount_code, total, refunded, financial_status, fulfillment_status, placed_at, paid_at, fulfilled_at, shipping_address, billing_address, shipping_method, payment_method, payment_reference, note, tags, source, created_at, updated_at, version", 5,
			"n, "+idOf(1, "(n + 2) / 3")+", 'customer' || (n + 2) / 3 || '@example.com', 'customer' || (n + 2) / 3 || '@example.com', 'EUR', n % 10000, 490, n % 1900, 0, '', n % 10000 + 490, 0, 'paid', 'fulfilled', "+at+", "+at+", "+at+", "+address+", "+address+", 'Standard', 'card', md5(n::text), '', '', 'web', "+at+", "+at+", 1", customers*3),
		insert("order_lines", "order_id, position, title, sku, vendor, quantity, price, discount, requires_shipping, taxable, fulfillment_status", 6,
			idOf(5, "(n + 1) / 2")+", n % 2 + 1, 'Product ' || n % 1000, 'SKU-' || n % 1000, 'Vendor', n % 3 + 1, n % 10000, 0, 1, 1, 'fulfilled'", customers*6),
		insert("analytics_events", "customer_id, event, subject, data, occurred_at", 7,
			idOf(1, "(n + 4) / 5")+", 'product_viewed', 'product-' || n % 1000, '{\"ref\":\"search\",\"position\":' || n % 20 || '}', "+at, customers*5),
	}
}

// fill writes the reference storefront and its neighbours, once, and lets the server
// know its tables as it would after a while.
func (w *world) fill(ctx context.Context) error {
	if w.filled {
		return nil
	}
	w.filled = true
	return w.write(ctx, w.sharedOwner, append(texts(w.shop, w.customers), crowdTexts(neighbours)...))
}

// crowdTexts fill so many storefronts of 200 customers each.
func crowdTexts(storefronts int) (out []string) {
	for n := range storefronts {
		out = append(out, texts(fmt.Sprintf("neighbour-%04d", n), 200)...)
	}
	return out
}

func (w *world) write(ctx context.Context, owner string, texts []string) error {
	return w.sql(ctx, owner, strings.Join(texts, ";\n"), "VACUUM ANALYZE", "CHECKPOINT")
}
