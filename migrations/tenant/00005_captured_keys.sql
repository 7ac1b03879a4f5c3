-- The ids of captured keys begin with the table's name: the keys of one table are a range of the
-- primary key, and a write that is captured has one index less to keep.

-- +goose Up
DROP INDEX captured_keys_table;
