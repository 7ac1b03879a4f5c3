-- +goose Up
-- Moves that have not ended, as they are listed: of all that there ever were, few.
CREATE INDEX moves_open_listed ON moves (id) WHERE ended_at IS NULL;
