-- +goose Up
CREATE TABLE social_identities (
    storefront_id TEXT NOT NULL CONSTRAINT social_identities_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    provider TEXT NOT NULL CONSTRAINT social_identities_provider_size CHECK (octet_length(provider) <= 1200),
    subject TEXT NOT NULL CONSTRAINT social_identities_subject_size CHECK (octet_length(subject) <= 1200),
    email TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT social_identities_key PRIMARY KEY (storefront_id, id)
);

CREATE UNIQUE INDEX social_identities_subject ON social_identities (storefront_id, provider, subject);
CREATE INDEX social_identities_customer ON social_identities (storefront_id, customer_id);

CREATE TABLE sessions (
    storefront_id TEXT NOT NULL CONSTRAINT sessions_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    counter BIGINT NOT NULL,
    hmac_key BYTEA NOT NULL,
    amr TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    ip_prefix TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_reason TEXT,
    CONSTRAINT sessions_key PRIMARY KEY (storefront_id, id)
);

CREATE INDEX sessions_customer ON sessions (storefront_id, customer_id);
CREATE INDEX sessions_expiry ON sessions (storefront_id, expires_at);

CREATE TABLE one_time_tokens (
    storefront_id TEXT NOT NULL CONSTRAINT one_time_tokens_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    purpose TEXT NOT NULL CONSTRAINT one_time_tokens_purpose_size CHECK (octet_length(purpose) <= 1200),
    token_hash BYTEA NOT NULL,
    email_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    CONSTRAINT one_time_tokens_key PRIMARY KEY (storefront_id, id)
);

CREATE UNIQUE INDEX one_time_tokens_hash ON one_time_tokens (storefront_id, token_hash);
CREATE INDEX one_time_tokens_customer ON one_time_tokens (storefront_id, customer_id, purpose);

CREATE TABLE security_audit (
    storefront_id TEXT NOT NULL CONSTRAINT security_audit_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    customer_id TEXT,
    event TEXT NOT NULL,
    ip_prefix TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    details TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT security_audit_key PRIMARY KEY (storefront_id, id)
);

CREATE INDEX security_audit_customer ON security_audit (storefront_id, customer_id, id);

CREATE TABLE mail_outbox (
    storefront_id TEXT NOT NULL CONSTRAINT mail_outbox_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    customer_id TEXT,
    template TEXT NOT NULL,
    recipient TEXT NOT NULL,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    claimed_at BIGINT,
    sent_at BIGINT,
    CONSTRAINT mail_outbox_key PRIMARY KEY (storefront_id, id)
);

CREATE INDEX mail_outbox_due ON mail_outbox (storefront_id, due_at) WHERE claimed_at IS NULL;
