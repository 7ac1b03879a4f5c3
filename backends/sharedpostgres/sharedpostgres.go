// Package sharedpostgres is the backend that keeps many storefronts in one
// database: apart by storefront_id in every statement, and by row-level security
// should a statement ever forget it.
package sharedpostgres

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"smartseller/backends"
	"smartseller/backends/postgres"
	"smartseller/backends/sqlstore"
	"smartseller/platform/database"
	"smartseller/platform/fault"
)

// connections bounds each of the pools, half of which one storefront may take.
const (
	connections = 2 * postgres.Share
	wanted      = 3*connections + 8 // of the server's, for an instance
)

// Backend is one database. Safe for concurrent use.
type Backend struct {
	cfg     backends.Config
	catalog *backends.Catalog
	role    string
	admin   *sql.DB
	pools   *postgres.Pools

	ready atomic.Bool
	turn  chan struct{} // held by who prepares
}

var _ backends.Backend = (*Backend)(nil)

// Opener returns what opens shared Postgres backends for this catalog.
func Opener(catalog *backends.Catalog) backends.Opener {
	return func(cfg backends.Config) (backends.Backend, error) {
		role, err := postgres.Role(cfg.DSN)
		if err != nil {
			return nil, fault.InvalidField("/dsn", "invalid_dsn", err.Error())
		}
		admin, err := postgres.Open(cfg.AdminDSN)
		if err != nil {
			return nil, fault.InvalidField("/admin_dsn", "invalid_dsn", err.Error())
		}
		pools, err := postgres.OpenPools(cfg.DSN, cfg.AdminDSN, cfg.Pooled, connections)
		if err != nil {
			return nil, errors.Join(fault.InvalidField("/dsn", "invalid_dsn", err.Error()), admin.Close())
		}
		return &Backend{cfg: cfg, catalog: catalog, role: role, admin: admin, pools: pools, turn: make(chan struct{}, 1)}, nil
	}
}

// Name implements backends.Backend.
func (b *Backend) Name() string { return b.cfg.Name }

// Kind implements backends.Backend.
func (b *Backend) Kind() backends.Kind { return backends.SharedPostgres }

// Shared implements backends.Backend.
func (b *Backend) Shared() bool { return true }

// Measured implements backends.Backend.
func (b *Backend) Measured() bool { return false }

// prepare checks the application's role and makes the schema, once. A role that
// row-level security does not hold is refused for good. A schema that is behind is left
// as it is where storefronts live: upgrading it touches all their places. Where none do,
// another instance may be making it at this moment, or have died of it.
func (b *Backend) prepare(ctx context.Context) error {
	if b.ready.Load() {
		return nil
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done(): // another one waits for the server
		return context.Cause(ctx)
	}
	if b.ready.Load() {
		return nil
	}
	if err := postgres.CheckRole(ctx, b.admin, b.role); err != nil {
		return err
	}
	schema, err := postgres.Schema(ctx, b.admin)
	if err != nil {
		return err
	}
	if schema.Version > 0 && schema.Pending > 0 {
		inhabited, err := postgres.Inhabited(ctx, b.admin)
		if err != nil || inhabited {
			return err
		}
	}
	if err := b.Upgrade(ctx, backends.Place{}); err != nil {
		return err
	}
	b.ready.Store(true)
	return nil
}

// Create implements backends.Backend.
func (b *Backend) Create(ctx context.Context, _ backends.Place) error { return b.prepare(ctx) }

// Open implements backends.Backend.
func (b *Backend) Open(ctx context.Context, p backends.Place) (backends.Store, error) {
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	return sqlstore.New(sqlstore.Options{Place: p, Catalog: b.catalog, Dialect: &postgres.Dialect{Pools: b.pools}, Lanes: b.pools.Lanes(postgres.Share)}), nil
}

// Destroy implements backends.Backend. The database stays; that the storefront's
// rows are gone was proved by the purge, and is proved again here.
func (b *Backend) Destroy(ctx context.Context, p backends.Place) error {
	s, err := b.Open(ctx, p)
	if err != nil {
		return err
	}
	left := false
	err = s.Read(ctx, func(r backends.Reader) error {
		for _, t := range b.catalog.Tables() {
			n, err := r.Count(t)
			if err != nil {
				return err
			}
			left = left || n > 0
		}
		return nil
	})
	if err == nil && left {
		err = backends.ErrNotEmpty
	}
	return err
}

// Ping implements backends.Backend.
func (b *Backend) Ping(ctx context.Context) error {
	return postgres.Reach(ctx, b.pools.App, b.pools.Owner, b.admin)
}

// Check implements backends.Backend.
func (b *Backend) Check(ctx context.Context) []backends.Finding {
	return postgres.Inspect(ctx, b.admin,
		func() backends.Finding { return b.checkRole(ctx) },
		func() backends.Finding { return postgres.CheckSight(ctx, b.admin) },
		func() backends.Finding { return postgres.CheckConnections(ctx, b.admin, wanted) },
		func() backends.Finding { return postgres.CheckIsolation(ctx, b.admin, b.pools, b.catalog) },
		func() backends.Finding { return postgres.CheckPooled(ctx, b.cfg.DSN, b.cfg.Pooled) },
		func() backends.Finding { return postgres.CheckDirect(ctx, b.cfg.AdminDSN) },
	)
}

func (b *Backend) checkRole(ctx context.Context) backends.Finding {
	f := backends.Finding{Check: "row-level security", Found: "it holds the application's role"}
	if err := postgres.CheckRole(ctx, b.admin, b.role); err != nil {
		f.Found, f.Problem, f.Fix = "", err.Error(), "give the application a login role of its own: no superuser, no BYPASSRLS, owner of nothing"
	}
	return f
}

// Room implements backends.Backend.
func (b *Backend) Room(ctx context.Context) (backends.Room, error) {
	return postgres.Room(ctx, b.admin)
}

// Strain implements backends.Backend.
func (b *Backend) Strain(ctx context.Context) (backends.Strain, error) {
	return postgres.Strain(ctx, b.admin)
}

// Schema implements backends.Backend.
func (b *Backend) Schema(ctx context.Context, _ backends.Place) (database.Schema, error) {
	return postgres.Schema(ctx, b.admin)
}

// Upgrade implements backends.Backend.
func (b *Backend) Upgrade(ctx context.Context, _ backends.Place) error {
	return postgres.Migrate(ctx, b.cfg.AdminDSN, b.role, b.catalog)
}

// Connections implements backends.Backend.
func (b *Backend) Connections() backends.Connections {
	return backends.CountConnections(append(b.pools.All(), b.admin)...)
}

// Close implements backends.Backend.
func (b *Backend) Close() error { return errors.Join(b.pools.Close(), b.admin.Close()) }
