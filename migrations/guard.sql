-- Row-level security for every tenant table that has it not or otherwise; run behind each
-- migration of a Postgres, before the application may use what is new. Enabled and not
-- forced: the owner, which migrates and moves, is exempt.
DO $$
DECLARE
    tenant_table text;
BEGIN
    FOR tenant_table IN
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace AND a.attname = 'storefront_id'
            AND NOT (c.relrowsecurity AND NOT c.relforcerowsecurity AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'storefront'))
        ORDER BY c.relname
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('DROP POLICY IF EXISTS storefront ON %I', tenant_table);
        EXECUTE format('CREATE POLICY storefront ON %I USING (storefront_id = smartseller_storefront()) WITH CHECK (storefront_id = smartseller_storefront())', tenant_table);
    END LOOP;
END
$$;
