-- +goose Up
-- files and failure are JSON. An import is open until ended_at is set; one whose
-- lease has run out belongs to a process that is gone.
CREATE TABLE imports (
    id TEXT NOT NULL CONSTRAINT imports_key PRIMARY KEY,
    storefront_id TEXT NOT NULL,
    format TEXT NOT NULL,
    state TEXT NOT NULL,
    files TEXT NOT NULL,
    failure TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT
);

-- One open import per storefront.
CREATE UNIQUE INDEX imports_open ON imports (storefront_id) WHERE ended_at IS NULL;
CREATE INDEX imports_storefront ON imports (storefront_id, id);

-- What was left out of an import, in the order in which it was met.
CREATE TABLE import_omissions (
    import_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    file TEXT NOT NULL,
    line BIGINT NOT NULL,
    code TEXT NOT NULL,
    CONSTRAINT import_omissions_key PRIMARY KEY (import_id, seq)
);
