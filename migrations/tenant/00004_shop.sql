-- +goose Up
-- Lists are canonical JSON texts: the names of a product's options (such as
-- "Size"), its pictures' addresses, a variant's values of the options.
CREATE TABLE products (
    storefront_id TEXT NOT NULL CONSTRAINT products_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    handle TEXT NOT NULL CONSTRAINT products_handle_size CHECK (octet_length(handle) <= 1200),
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    vendor TEXT NOT NULL,
    kind TEXT NOT NULL,
    tags TEXT NOT NULL,
    options TEXT NOT NULL,
    images TEXT NOT NULL,
    published BIGINT NOT NULL CONSTRAINT products_published CHECK (published IN (0, 1)),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT products_key PRIMARY KEY (storefront_id, id)
);

CREATE UNIQUE INDEX products_handle ON products (storefront_id, handle);

-- inventory is NULL where it is not counted; with backorder more may be sold than is there.
CREATE TABLE product_variants (
    storefront_id TEXT NOT NULL CONSTRAINT product_variants_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    title TEXT NOT NULL,
    options TEXT NOT NULL,
    image TEXT NOT NULL,
    sku TEXT NOT NULL,
    barcode TEXT NOT NULL,
    price BIGINT NOT NULL CONSTRAINT product_variants_price CHECK (price >= 0),
    compare_at_price BIGINT,
    currency TEXT NOT NULL,
    inventory BIGINT,
    backorder BIGINT NOT NULL CONSTRAINT product_variants_backorder CHECK (backorder IN (0, 1)),
    requires_shipping BIGINT NOT NULL CONSTRAINT product_variants_shipping CHECK (requires_shipping IN (0, 1)),
    taxable BIGINT NOT NULL CONSTRAINT product_variants_taxable CHECK (taxable IN (0, 1)),
    weight_grams BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT product_variants_key PRIMARY KEY (storefront_id, id)
);

CREATE UNIQUE INDEX product_variants_position ON product_variants (storefront_id, product_id, position);

-- An order keeps copies: what a customer, an address or a product becomes later
-- does not change it. Addresses are canonical JSON objects. Without customer_id it
-- is a guest's.
CREATE TABLE orders (
    storefront_id TEXT NOT NULL CONSTRAINT orders_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    external_id TEXT CONSTRAINT orders_external_id_size CHECK (octet_length(external_id) <= 1200),
    number BIGINT NOT NULL,
    customer_id TEXT,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL CONSTRAINT orders_email_key_size CHECK (octet_length(email_key) <= 1200),
    currency TEXT NOT NULL,
    subtotal BIGINT NOT NULL,
    shipping BIGINT NOT NULL,
    tax BIGINT NOT NULL,
    discount BIGINT NOT NULL,
    discount_code TEXT NOT NULL,
    total BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    financial_status TEXT NOT NULL,
    fulfillment_status TEXT NOT NULL,
    placed_at BIGINT NOT NULL,
    paid_at BIGINT,
    fulfilled_at BIGINT,
    cancelled_at BIGINT,
    shipping_address TEXT NOT NULL,
    billing_address TEXT NOT NULL,
    shipping_method TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    payment_reference TEXT NOT NULL,
    note TEXT NOT NULL,
    tags TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT orders_key PRIMARY KEY (storefront_id, id)
);

CREATE UNIQUE INDEX orders_number ON orders (storefront_id, number);
CREATE UNIQUE INDEX orders_external ON orders (storefront_id, external_id);
CREATE INDEX orders_customer ON orders (storefront_id, customer_id, placed_at, id);
CREATE INDEX orders_email ON orders (storefront_id, email_key);

-- quantity is 0 for a line that was taken off the order.
CREATE TABLE order_lines (
    storefront_id TEXT NOT NULL CONSTRAINT order_lines_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    variant_id TEXT,
    title TEXT NOT NULL,
    sku TEXT NOT NULL,
    vendor TEXT NOT NULL,
    quantity BIGINT NOT NULL CONSTRAINT order_lines_quantity CHECK (quantity >= 0),
    price BIGINT NOT NULL,
    compare_at_price BIGINT,
    discount BIGINT NOT NULL,
    requires_shipping BIGINT NOT NULL CONSTRAINT order_lines_shipping CHECK (requires_shipping IN (0, 1)),
    taxable BIGINT NOT NULL CONSTRAINT order_lines_taxable CHECK (taxable IN (0, 1)),
    fulfillment_status TEXT NOT NULL,
    CONSTRAINT order_lines_key PRIMARY KEY (storefront_id, id)
);

CREATE UNIQUE INDEX order_lines_position ON order_lines (storefront_id, order_id, position);

-- A counter is a row, so that it moves with the storefront: order numbers.
CREATE TABLE counters (
    storefront_id TEXT NOT NULL CONSTRAINT counters_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    value BIGINT NOT NULL,
    CONSTRAINT counters_key PRIMARY KEY (storefront_id, id)
);

CREATE TABLE analytics_events (
    storefront_id TEXT NOT NULL CONSTRAINT analytics_events_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    customer_id TEXT,
    event TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    CONSTRAINT analytics_events_key PRIMARY KEY (storefront_id, id)
);

CREATE INDEX analytics_events_time ON analytics_events (storefront_id, occurred_at, id);
