-- +goose Up
-- Runs that bring the tenant schema of every storefront's place up to date. known: how
-- many tenant migrations the program that began it, or joined it last, knows of; changes:
-- how often anything of it has changed.
CREATE TABLE schema_upgrades (
    id TEXT NOT NULL CONSTRAINT schema_upgrades_key PRIMARY KEY,
    state TEXT NOT NULL CONSTRAINT schema_upgrades_state CHECK (state IN ('running', 'completed', 'cancelled')),
    known BIGINT NOT NULL,
    changes BIGINT NOT NULL,
    requested_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT
);

-- One is under way at a time.
CREATE UNIQUE INDEX schema_upgrades_open ON schema_upgrades (state) WHERE state = 'running';

-- What is upgraded at once: a storefront's own place, or ('') the database that all
-- storefronts of a shared backend are in. due_at: it is not tried sooner; change: the
-- run's, at which it became what it is.
CREATE TABLE schema_upgrade_places (
    run_id TEXT NOT NULL,
    storefront_id TEXT NOT NULL,
    backend TEXT NOT NULL,
    wave BIGINT NOT NULL,
    state TEXT NOT NULL CONSTRAINT schema_upgrade_places_state CHECK (state IN ('waiting', 'done', 'failed', 'skipped')),
    cause TEXT NOT NULL,
    version_before BIGINT NOT NULL,
    version BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    change BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT schema_upgrade_places_key PRIMARY KEY (run_id, storefront_id, backend)
);

CREATE INDEX schema_upgrade_places_turn ON schema_upgrade_places (run_id, state, wave);
CREATE INDEX schema_upgrade_places_change ON schema_upgrade_places (run_id, change);
