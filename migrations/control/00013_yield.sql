-- +goose Up
-- How many tenant migrations the program had that made a move's places equal; 0: they are
-- not, or nobody noted it.
ALTER TABLE moves ADD COLUMN tenant_migrations BIGINT NOT NULL DEFAULT 0 CONSTRAINT moves_tenant_migrations CHECK (tenant_migrations >= 0);
