-- +goose Up
-- What an operator says that a backend may hold, in bytes; 0: nothing was said.
ALTER TABLE backends ADD COLUMN capacity_bytes BIGINT NOT NULL DEFAULT 0 CONSTRAINT backends_capacity CHECK (capacity_bytes >= 0);
