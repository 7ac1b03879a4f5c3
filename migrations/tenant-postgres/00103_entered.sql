-- Every policy asks which storefront was entered, for each table of each statement. As a
-- single expression of SQL the planner puts it in the policy's place, and nothing is called.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION smartseller_nothing_entered() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RAISE EXCEPTION 'no storefront was entered' USING ERRCODE = 'SS002';
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION smartseller_storefront() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN current_setting('smartseller.storefront', true) <> '' THEN current_setting('smartseller.storefront', true)
        ELSE smartseller_nothing_entered() END
$$;
-- +goose StatementEnd
