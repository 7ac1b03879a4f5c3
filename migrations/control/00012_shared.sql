-- +goose Up
-- Whether storefronts share the tables of a backend, as it said of itself when it was registered.
ALTER TABLE backends ADD COLUMN shared BIGINT NOT NULL DEFAULT 0 CONSTRAINT backends_shared CHECK (shared IN (0, 1));

UPDATE backends SET shared = 1 WHERE kind = 'shared-postgres';
