-- +goose Up
-- Not 0: the move ended while its source was not there, which would capture changes for ever
-- should it come back.
ALTER TABLE moves ADD COLUMN source_kept BIGINT NOT NULL DEFAULT 0;
CREATE INDEX moves_source_kept ON moves (id) WHERE source_kept <> 0;
