-- What moves write and delete again and again. By the usual share of the table a vacuum
-- would come when it has become many times what is alive in it; and storefronts that share
-- it read past what is dead.

-- +goose Up
ALTER TABLE captured_keys SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE to_verify SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
