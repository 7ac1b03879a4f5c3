-- +goose Up
-- Places that are being made for storefronts which do not exist yet. A row ends with
-- the storefront's beginning, or once its place was removed again; given_up says that
-- the storefront must not begin any more.
CREATE TABLE foundings (
    storefront_id TEXT NOT NULL CONSTRAINT foundings_key PRIMARY KEY,
    slug TEXT NOT NULL,
    backend TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    given_up BIGINT NOT NULL CONSTRAINT foundings_given_up CHECK (given_up IN (0, 1))
);
