-- +goose Up
-- How much of the time all moves together may work, at most; one row, id 'all'.
CREATE TABLE move_pace (
    id TEXT NOT NULL CONSTRAINT move_pace_key PRIMARY KEY CONSTRAINT move_pace_one CHECK (id = 'all'),
    percent BIGINT NOT NULL CONSTRAINT move_pace_percent CHECK (percent BETWEEN 1 AND 100)
);
