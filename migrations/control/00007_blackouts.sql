-- +goose Up
-- A seller's "not now": no move that a plan makes cuts over between the two times,
-- microseconds UTC; one for a storefront, a later one takes its place. The reason is
-- the seller's, for operators.
CREATE TABLE blackouts (
    storefront_id TEXT NOT NULL CONSTRAINT blackouts_key PRIMARY KEY,
    begins_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    CONSTRAINT blackouts_order CHECK (ends_at > begins_at)
);
