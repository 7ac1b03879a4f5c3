-- +goose Up
-- What customers did at a storefront, per hour of the week: a slot is used anew a
-- week later. hour counts from 1970; the columns from ms_1 on are how many requests
-- took less than so many milliseconds and not less than half of it.
CREATE TABLE storefront_hours (
    storefront_id TEXT NOT NULL,
    slot BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    writes BIGINT NOT NULL,
    ms_1 BIGINT NOT NULL,
    ms_2 BIGINT NOT NULL,
    ms_4 BIGINT NOT NULL,
    ms_8 BIGINT NOT NULL,
    ms_16 BIGINT NOT NULL,
    ms_32 BIGINT NOT NULL,
    ms_64 BIGINT NOT NULL,
    ms_128 BIGINT NOT NULL,
    ms_256 BIGINT NOT NULL,
    ms_512 BIGINT NOT NULL,
    ms_1024 BIGINT NOT NULL,
    ms_more BIGINT NOT NULL,
    CONSTRAINT storefront_hours_key PRIMARY KEY (storefront_id, slot)
);

-- How many rows a storefront's tables have: counted once, then kept by what
-- transactions add. row_bytes is the mean size of a row's values.
CREATE TABLE storefront_tables (
    storefront_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    row_bytes BIGINT NOT NULL,
    CONSTRAINT storefront_tables_key PRIMARY KEY (storefront_id, table_name)
);

-- changed: rows written since counted_at; 0 in counted_at: never counted. tried_at:
-- when counting was tried last.
CREATE TABLE storefront_activity (
    storefront_id TEXT NOT NULL CONSTRAINT storefront_activity_key PRIMARY KEY,
    active_at BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    counted_at BIGINT NOT NULL,
    tried_at BIGINT NOT NULL
);
