-- What only Postgres has: the entry functions, and what the policies call, which
-- guard.sql puts on every table.

-- +goose Up
-- The storefront that the transaction entered. It raises when there is none: a
-- forgotten entry is an error and never "no rows". After a transaction the
-- setting is '' and not NULL.
-- +goose StatementBegin
CREATE FUNCTION smartseller_storefront() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    entered text := current_setting('smartseller.storefront', true);
BEGIN
    IF entered IS NULL OR entered = '' THEN
        RAISE EXCEPTION 'no storefront was entered' USING ERRCODE = 'SS002';
    END IF;
    RETURN entered;
END
$$;
-- +goose StatementEnd

-- Enters for writing, with timeouts unless the session has them (0). Order matters: the lock first, the fence in the next
-- statement, whose snapshot is newer than the wait. Hence VOLATILE, and READ
-- COMMITTED alone. SS001 tells the fence's state and epoch in its detail.
-- +goose StatementBegin
CREATE FUNCTION smartseller_enter(entering text, at_epoch bigint, timeout_ms bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found_state text;
    found_epoch bigint;
    found_capture bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'entering for writing needs READ COMMITTED' USING ERRCODE = 'SS003';
    END IF;
    EXECUTE format('SET LOCAL smartseller.storefront = %L', entering);
    IF timeout_ms > 0 THEN
        EXECUTE format('SET LOCAL lock_timeout = %L', timeout_ms);
        EXECUTE format('SET LOCAL statement_timeout = %L', timeout_ms);
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(entering, 0)) FROM fence WHERE storefront_id = entering AND id = 'fence';
    SELECT state, epoch, capture INTO found_state, found_epoch, found_capture FROM fence WHERE storefront_id = entering AND id = 'fence';
    IF found_state IS DISTINCT FROM 'active' OR found_epoch <> at_epoch THEN
        RAISE EXCEPTION 'refused by the fence' USING ERRCODE = 'SS001',
            DETAIL = format('%s %s', COALESCE(found_state, 'absent'), COALESCE(found_epoch, 0));
    END IF;
    RETURN found_capture;
END
$$;
-- +goose StatementEnd

-- Enters for reading: the same check without the lock, in the snapshot of all
-- that the transaction reads.
-- +goose StatementBegin
CREATE FUNCTION smartseller_enter_read(entering text, at_epoch bigint, timeout_ms bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found_state text;
    found_epoch bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'repeatable read' THEN
        RAISE EXCEPTION 'entering for reading needs REPEATABLE READ' USING ERRCODE = 'SS003';
    END IF;
    EXECUTE format('SET LOCAL smartseller.storefront = %L', entering);
    IF timeout_ms > 0 THEN
        EXECUTE format('SET LOCAL statement_timeout = %L', timeout_ms);
    END IF;
    SELECT state, epoch INTO found_state, found_epoch FROM fence WHERE storefront_id = entering AND id = 'fence';
    IF found_state IS NULL OR found_state NOT IN ('active', 'sealed') OR found_epoch <> at_epoch THEN
        RAISE EXCEPTION 'refused by the fence' USING ERRCODE = 'SS001',
            DETAIL = format('%s %s', COALESCE(found_state, 'absent'), COALESCE(found_epoch, 0));
    END IF;
    RETURN 0;
END
$$;
-- +goose StatementEnd
