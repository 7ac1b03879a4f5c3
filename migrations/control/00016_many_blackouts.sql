-- +goose Up
-- A seller may ask for any number of times without a cutover; those that are there take their
-- storefront's id as their own, since each is the only one of it.
CREATE TABLE blackouts_before AS SELECT storefront_id, begins_at, ends_at, reason FROM blackouts;

DROP TABLE blackouts;

-- They may overlap. The reason is the seller's, for operators.
CREATE TABLE blackouts (
    id TEXT NOT NULL CONSTRAINT blackouts_key PRIMARY KEY,
    storefront_id TEXT NOT NULL,
    begins_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    CONSTRAINT blackouts_order CHECK (ends_at > begins_at)
);

CREATE INDEX blackouts_storefront ON blackouts (storefront_id, ends_at);
CREATE INDEX blackouts_end ON blackouts (ends_at);

INSERT INTO blackouts (id, storefront_id, begins_at, ends_at, reason)
SELECT storefront_id, storefront_id, begins_at, ends_at, reason FROM blackouts_before;

DROP TABLE blackouts_before;
