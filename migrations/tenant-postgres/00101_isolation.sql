-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION smartseller_storefront() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RAISE EXCEPTION 'no storefront entered' USING ERRCODE = 'SS001';
END $$;
-- +goose StatementEnd
