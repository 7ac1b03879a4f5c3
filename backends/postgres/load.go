package postgres

import (
	"context"
	"database/sql"

	"smartseller/backends"
	"smartseller/platform/database"
)

// Shape implements sqlstore.Dialect. A table that is not there has no columns.
func (d *Dialect) Shape() (columns, uniques string) {
	return `SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute
			WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
		`SELECT k.relname FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid
			WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND NOT i.indisprimary`
}

// Indexes implements sqlstore.Dialect.
func (d *Dialect) Indexes() string {
	return `SELECT k.relname, t.relname, pg_get_indexdef(k.oid)
		FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
		WHERE t.relnamespace = current_schema()::regnamespace AND $1 <> ''
			AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = k.oid)`
}

// MakeIndex implements sqlstore.Dialect. A server that is making an index hears of its
// client's death only if it is told to listen, and would keep the fence locked meanwhile.
func (d *Dialect) MakeIndex(ctx context.Context, tx *sql.Tx, statement string) error {
	_, err := tx.ExecContext(database.WithLongAnswer(ctx), "SET LOCAL client_connection_check_interval = 500; "+statement)
	return err
}

// Loaded implements sqlstore.Dialect. Until the server looks by itself it believes that
// the storefront has next to no rows, and would sort all of them for a page of a list.
// Two columns tell it that; what it wants to know of the others it learns in time. In a
// shared database only a storefront that is a large part of the table is news.
func (d *Dialect) Loaded(ctx context.Context, tx *sql.Tx, t *backends.Table, rows int64) error {
	const news = 1000 // fewer rows are sorted in no time
	if rows < news {
		return nil
	}
	sample := "SET LOCAL default_statistics_target = 10; "
	if !d.Alone { // there are other storefronts to be told apart
		sample = ""
		var known int64
		if err := tx.QueryRowContext(ctx, `SELECT reltuples::bigint FROM pg_class WHERE oid = $1::regclass`, t.Name).Scan(&known); err != nil {
			return err
		}
		const part = 20 // one in so many
		if rows < known/part {
			return nil
		}
	}
	_, err := tx.ExecContext(database.WithLongAnswer(ctx), sample+"ANALYZE (SKIP_LOCKED) "+t.Name+" (storefront_id, id)")
	return err
}
