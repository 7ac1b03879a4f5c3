-- +goose Up
-- What is done one time in the life of an installation.
CREATE TABLE done_once (
    name TEXT NOT NULL CONSTRAINT done_once_key PRIMARY KEY,
    at BIGINT NOT NULL
);
