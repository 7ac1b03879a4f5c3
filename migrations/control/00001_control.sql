-- +goose Up
CREATE TABLE backends (
    name TEXT NOT NULL CONSTRAINT backends_key PRIMARY KEY,
    kind TEXT NOT NULL,
    config BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE storefronts (
    id TEXT NOT NULL CONSTRAINT storefronts_key PRIMARY KEY,
    slug TEXT NOT NULL CONSTRAINT storefronts_slug UNIQUE,
    name TEXT NOT NULL,
    currency TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    status TEXT NOT NULL CONSTRAINT storefronts_status CHECK (status IN ('active', 'suspended')),
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- Where each storefront's data is. backend, made_at_epoch: the place; epoch:
-- grows by one at every change.
CREATE TABLE placements (
    storefront_id TEXT NOT NULL CONSTRAINT placements_key PRIMARY KEY,
    backend TEXT NOT NULL,
    made_at_epoch BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE INDEX placements_backend ON placements (backend);

CREATE TABLE placement_history (
    storefront_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    backend TEXT NOT NULL,
    made_at_epoch BIGINT NOT NULL,
    since BIGINT NOT NULL,
    move_id TEXT NOT NULL,
    CONSTRAINT placement_history_key PRIMARY KEY (storefront_id, epoch)
);

-- Signing keys of a storefront's access tokens, the private half sealed.
CREATE TABLE signing_keys (
    storefront_id TEXT NOT NULL,
    kid TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    public_key BYTEA NOT NULL,
    sealed_private_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT,
    CONSTRAINT signing_keys_key PRIMARY KEY (storefront_id, kid)
);

CREATE TABLE moves (
    id TEXT NOT NULL CONSTRAINT moves_key PRIMARY KEY,
    storefront_id TEXT NOT NULL,
    source_backend TEXT NOT NULL,
    source_made_at_epoch BIGINT NOT NULL,
    target_backend TEXT NOT NULL,
    target_made_at_epoch BIGINT NOT NULL,
    source_epoch BIGINT NOT NULL,
    phase TEXT NOT NULL,
    resume_phase TEXT NOT NULL,
    cut TEXT NOT NULL,
    intent TEXT NOT NULL,
    gen BIGINT NOT NULL,
    owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    options TEXT NOT NULL,
    stats TEXT NOT NULL,
    cause TEXT NOT NULL,
    advice TEXT NOT NULL,
    receipt TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT,
    -- The backend on which a move that ended could not erase what it left, since that is out of reach.
    left_behind TEXT NOT NULL DEFAULT '',
    -- What was asked before a pause was, and holds again when the move is resumed.
    kept TEXT NOT NULL DEFAULT ''
);

-- One open move per storefront.
CREATE UNIQUE INDEX moves_open ON moves (storefront_id) WHERE ended_at IS NULL;
CREATE INDEX moves_storefront ON moves (storefront_id, id);
CREATE INDEX moves_lease ON moves (lease_until) WHERE ended_at IS NULL;
CREATE INDEX moves_left ON moves (id) WHERE left_behind <> '';

-- seq is one more than the move's last one, given inside the transaction that
-- holds the move's row: what an event stream resumes from.
CREATE TABLE move_events (
    move_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    CONSTRAINT move_events_key PRIMARY KEY (move_id, seq)
);

CREATE TABLE move_checkpoints (
    move_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    cursor TEXT NOT NULL,
    through TEXT NOT NULL,
    copied BIGINT NOT NULL,
    total BIGINT NOT NULL,
    done BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT move_checkpoints_key PRIMARY KEY (move_id, table_name)
);

CREATE TABLE leases (
    name TEXT NOT NULL CONSTRAINT leases_key PRIMARY KEY,
    holder TEXT NOT NULL,
    token BIGINT NOT NULL,
    until BIGINT NOT NULL
);

-- cred grows with every change of the password: older access tokens are void.
CREATE TABLE admins (
    id TEXT NOT NULL CONSTRAINT admins_key PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL CONSTRAINT admins_email UNIQUE,
    password_hash TEXT NOT NULL,
    must_change BIGINT NOT NULL,
    role TEXT NOT NULL,
    cred BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE admin_tokens (
    id TEXT NOT NULL CONSTRAINT admin_tokens_key PRIMARY KEY,
    admin_id TEXT NOT NULL,
    token_hash BYTEA NOT NULL CONSTRAINT admin_tokens_hash UNIQUE,
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

-- actor is an admin's id, or says who worked on the control database itself.
-- outcome is 'begun' until the change has ended, and if the process died in it.
CREATE TABLE admin_audit (
    id TEXT NOT NULL CONSTRAINT admin_audit_key PRIMARY KEY,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL,
    outcome TEXT NOT NULL,
    ip TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- failures is the number of failures in a row. Keys are HMACs, never addresses. tat is
-- for limits by rate, which nothing sets yet: it is 0.
CREATE TABLE login_limits (
    id TEXT NOT NULL CONSTRAINT login_limits_key PRIMARY KEY,
    tat BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX login_limits_age ON login_limits (updated_at);

-- Work that waits in a storefront whose place may be closed. Nothing writes it yet. What
-- will does so before the tenant's commit: an entry may be spurious, never missing.
CREATE TABLE due_work (
    storefront_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT due_work_key PRIMARY KEY (storefront_id, kind)
);

CREATE INDEX due_work_at ON due_work (at);
