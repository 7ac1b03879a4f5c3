-- +goose Up
-- Many moves, carried out over days. options and policy are what was asked; cause
-- says why a plan stopped; forgiven: failures that an operator has seen and let be.
CREATE TABLE plans (
    id TEXT NOT NULL CONSTRAINT plans_key PRIMARY KEY,
    state TEXT NOT NULL CONSTRAINT plans_state
        CHECK (state IN ('proposed', 'running', 'paused', 'stopped', 'cancelling', 'cancelled', 'completed')),
    options TEXT NOT NULL,
    policy TEXT NOT NULL,
    reason TEXT NOT NULL,
    cause TEXT NOT NULL,
    forgiven BIGINT NOT NULL,
    left_out BIGINT NOT NULL,
    requested_by TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT
);

CREATE INDEX plans_open ON plans (id) WHERE ended_at IS NULL;

-- The moves of a plan in their order. moved_at: when the storefront was at its target;
-- waits: what a move that is ready waits for.
CREATE TABLE plan_moves (
    plan_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    wave BIGINT NOT NULL,
    storefront_id TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    state TEXT NOT NULL CONSTRAINT plan_moves_state CHECK (state IN ('waiting', 'moving', 'moved', 'done', 'failed', 'skipped')),
    move_id TEXT NOT NULL,
    cause TEXT NOT NULL,
    waits TEXT NOT NULL,
    moved_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT plan_moves_key PRIMARY KEY (plan_id, seq)
);

-- A storefront is in one plan at a time.
CREATE UNIQUE INDEX plan_moves_storefront ON plan_moves (storefront_id) WHERE state IN ('waiting', 'moving');
CREATE INDEX plan_moves_turn ON plan_moves (plan_id, state, wave, seq);
