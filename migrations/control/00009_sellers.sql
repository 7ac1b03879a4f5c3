-- +goose Up
-- A seller sees one storefront; '' for admins of the platform.
ALTER TABLE admins ADD COLUMN storefront_id TEXT NOT NULL DEFAULT '';
