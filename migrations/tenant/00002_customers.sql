-- +goose Up
-- What is indexed and comes from outside has a bound here as everywhere below:
-- Postgres refuses an index entry of more than 2,704 bytes, SQLite takes any.
CREATE TABLE customers (
    storefront_id TEXT NOT NULL CONSTRAINT customers_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    external_id TEXT CONSTRAINT customers_external_id_size CHECK (octet_length(external_id) <= 1200),
    email TEXT NOT NULL,
    email_key TEXT NOT NULL CONSTRAINT customers_email_key_size CHECK (octet_length(email_key) <= 1200),
    email_verified_at BIGINT,
    password_hash TEXT,
    cred BIGINT NOT NULL,
    status TEXT NOT NULL CONSTRAINT customers_status CHECK (status IN ('active', 'disabled')),
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    phone TEXT NOT NULL,
    locale TEXT NOT NULL,
    marketing BIGINT NOT NULL CONSTRAINT customers_marketing CHECK (marketing IN (0, 1)),
    tax_exempt BIGINT NOT NULL CONSTRAINT customers_tax_exempt CHECK (tax_exempt IN (0, 1)),
    note TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT customers_key PRIMARY KEY (storefront_id, id)
);

CREATE UNIQUE INDEX customers_email ON customers (storefront_id, email_key);
CREATE UNIQUE INDEX customers_external ON customers (storefront_id, external_id);

CREATE TABLE addresses (
    storefront_id TEXT NOT NULL CONSTRAINT addresses_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    company TEXT NOT NULL,
    line1 TEXT NOT NULL,
    line2 TEXT NOT NULL,
    city TEXT NOT NULL,
    province TEXT NOT NULL,
    postal_code TEXT NOT NULL,
    country TEXT NOT NULL,
    phone TEXT NOT NULL,
    is_default BIGINT NOT NULL CONSTRAINT addresses_is_default CHECK (is_default IN (0, 1)),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT addresses_key PRIMARY KEY (storefront_id, id)
);

CREATE INDEX addresses_customer ON addresses (storefront_id, customer_id, id);
CREATE UNIQUE INDEX addresses_default ON addresses (storefront_id, customer_id) WHERE is_default = 1;

CREATE TABLE idempotency_keys (
    storefront_id TEXT NOT NULL CONSTRAINT idempotency_keys_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT idempotency_keys_key PRIMARY KEY (storefront_id, id)
);

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (storefront_id, expires_at);
