-- +goose Up
-- What belongs to a place and never moves: the fence (one row per storefront,
-- its id is always 'fence'), the keys captured for a move (append-only, each
-- entry with an id of its own), the copy's progress (id: the table's name), the
-- keys applied but not yet compared, and the indexes that are made when a table is
-- loaded (id: the index's name).
CREATE TABLE fence (
    storefront_id TEXT NOT NULL CONSTRAINT fence_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL CONSTRAINT fence_one CHECK (id = 'fence'),
    epoch BIGINT NOT NULL,
    state TEXT NOT NULL CONSTRAINT fence_state CHECK (state IN ('loading', 'active', 'sealed', 'closed', 'moved', 'standby')),
    capture BIGINT NOT NULL CONSTRAINT fence_capture CHECK (capture IN (0, 1)),
    move_id TEXT NOT NULL,
    gen BIGINT NOT NULL,
    CONSTRAINT fence_key PRIMARY KEY (storefront_id, id)
);

CREATE TABLE captured_keys (
    storefront_id TEXT NOT NULL CONSTRAINT captured_keys_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    row_id TEXT NOT NULL,
    CONSTRAINT captured_keys_key PRIMARY KEY (storefront_id, id)
);

CREATE INDEX captured_keys_table ON captured_keys (storefront_id, table_name, id);

CREATE TABLE move_progress (
    storefront_id TEXT NOT NULL CONSTRAINT move_progress_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    cursor TEXT NOT NULL,
    through TEXT NOT NULL,
    copied BIGINT NOT NULL,
    done BIGINT NOT NULL CONSTRAINT move_progress_done CHECK (done IN (0, 1)),
    CONSTRAINT move_progress_key PRIMARY KEY (storefront_id, id)
);

CREATE TABLE to_verify (
    storefront_id TEXT NOT NULL CONSTRAINT to_verify_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    row_id TEXT NOT NULL,
    CONSTRAINT to_verify_key PRIMARY KEY (storefront_id, id)
);

CREATE TABLE deferred_indexes (
    storefront_id TEXT NOT NULL CONSTRAINT deferred_indexes_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    definition TEXT NOT NULL,
    CONSTRAINT deferred_indexes_key PRIMARY KEY (storefront_id, id)
);

-- A row written by the mover at one side must arrive at the other before a
-- cutover is allowed.
CREATE TABLE move_canary (
    storefront_id TEXT NOT NULL CONSTRAINT move_canary_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    value TEXT NOT NULL,
    written_at BIGINT NOT NULL,
    CONSTRAINT move_canary_key PRIMARY KEY (storefront_id, id)
);
