package sharedpostgres_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/storetest"
	"smartseller/migrations"
	"smartseller/platform/database"
	"smartseller/platform/ids"
)

// older is a database as an older program, or one that is making the schema, leaves it.
func older(t *testing.T) (backends.Config, *sql.DB) {
	cfg := config(t, false)
	admin := open(t, cfg.AdminDSN)
	files, err := migrations.Tenant(migrations.Postgres)
	require.NoError(t, err)
	require.NoError(t, database.Migrate(context.Background(), admin, goose.DialectPostgres, storetest.Older(t, files)))
	return cfg, admin
}

// TestHalfMadeSchemaIsFinished where no storefront lives.
func TestHalfMadeSchemaIsFinished(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, _ := older(t)
	b := openBackend(t, storetest.Catalog(t), cfg)
	p := backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, b.Create(ctx, p))
	schema, err := b.Schema(ctx, p)
	require.NoError(t, err)
	require.Zero(t, schema.Pending)
}

// TestUpgradeWaitsForNobodysTurn: a transaction that holds a table keeps an upgrade
// waiting, but whoever comes after gets by, and opening the place upgrades nothing.
func TestUpgradeWaitsForNobodysTurn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cfg, admin := older(t)
	_, err := admin.Exec(`INSERT INTO fence VALUES ('another', 'fence', 1, 'active', 0, '', 0)`)
	require.NoError(t, err)
	b := openBackend(t, storetest.Catalog(t), cfg)
	p := backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	s, err := b.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	schema, err := b.Schema(ctx, p)
	require.NoError(t, err)
	require.Equal(t, 1, schema.Pending)

	holder, err := admin.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = holder.ExecContext(ctx, `LOCK TABLE customers IN ACCESS SHARE MODE`)
	require.NoError(t, err)
	upgraded := make(chan error, 1)
	go func() { upgraded <- b.Upgrade(ctx, p) }()
	require.Eventually(t, func() bool {
		var waiting int
		require.NoError(t, admin.QueryRowContext(ctx, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'customers'::regclass`).Scan(&waiting))
		return waiting > 0
	}, time.Minute, time.Millisecond)
	var n int
	require.NoError(t, admin.QueryRowContext(ctx, `SELECT count(*) FROM customers`).Scan(&n), "it comes after the upgrade, and before the holder ends")
	require.Empty(t, upgraded)
	require.NoError(t, holder.Rollback())
	require.NoError(t, <-upgraded)
	schema, err = b.Schema(ctx, p)
	require.NoError(t, err)
	require.Zero(t, schema.Pending)
	s, err = b.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, s.Found(ctx, 1))
	require.NoError(t, s.Close())
}

// TestKeysOfOlderPrograms: an instance of an older program that serves beside this one notes keys
// under ids that do not say their tables.
func TestKeysOfOlderPrograms(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	catalog, cfg := storetest.Catalog(t), config(t, false)
	b := openBackend(t, catalog, cfg)
	p := backends.Place{Backend: "shared", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, b.Create(ctx, p))
	s, err := b.Open(ctx, p)
	require.NoError(t, err)
	require.NoError(t, s.Found(ctx, 1))
	require.NoError(t, s.Enlist(ctx, backends.Token{Move: ids.New(), Gen: 1}))
	_, err = open(t, cfg.AdminDSN).Exec(`INSERT INTO captured_keys (storefront_id, id, table_name, row_id) VALUES ($1, $2, 'counters', 'a')`, string(p.Storefront), ids.New())
	require.NoError(t, err)
	add := backends.Write(catalog.Table("counters"), `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, $3)`)
	require.NoError(t, s.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
		_, err := tx.Exec(add, "b", 1)
		return err
	}))
	for table, want := range map[string]int{"": 2, "counters": 2, "customers": 0} {
		entries, err := s.Captured(ctx, table, 10)
		require.NoError(t, err)
		require.Len(t, entries, want, table)
	}
	entries, err := s.Captured(ctx, "counters", 1)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
