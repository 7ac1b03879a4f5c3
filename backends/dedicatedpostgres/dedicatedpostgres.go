// Package dedicatedpostgres is the backend that gives each storefront and epoch a
// database and a role of its own, on one server.
package dedicatedpostgres

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/lib/pq"

	"smartseller/backends"
	"smartseller/backends/postgres"
	"smartseller/backends/sqlstore"
	"smartseller/platform/crypto"
	"smartseller/platform/database"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// connections bounds each pool of a place, whatever the server has; wanted is what it
// should have.
const (
	connections = postgres.Share
	wanted      = 60
)

// Backend is one server. Safe for concurrent use.
type Backend struct {
	cfg     backends.Config
	catalog *backends.Catalog
	keys    *crypto.Keyring
	admin   *sql.DB

	turn   chan struct{}    // held by who asks for the budget
	budget *postgres.Budget // of all places; nil until the server was asked what it has
}

var _ backends.Backend = (*Backend)(nil)

// Opener returns what opens dedicated Postgres backends for this catalog. The
// roles' passwords are derived from the keys, so none is stored.
func Opener(catalog *backends.Catalog, keys *crypto.Keyring) backends.Opener {
	return func(cfg backends.Config) (backends.Backend, error) {
		if cfg.Pooled {
			return nil, fault.InvalidField("/pooled", "not_poolable", "a dedicated Postgres is reached directly: each storefront has a database and a role of its own")
		}
		if cfg.DSN != "" {
			return nil, fault.InvalidField("/dsn", "not_taken", "each storefront of a dedicated Postgres has a role of its own: leave it out")
		}
		admin, err := postgres.Open(cfg.AdminDSN)
		if err != nil {
			return nil, fault.InvalidField("/admin_dsn", "invalid_dsn", err.Error())
		}
		return &Backend{cfg: cfg, catalog: catalog, keys: keys, admin: admin, turn: make(chan struct{}, 1)}, nil
	}
}

// Name implements backends.Backend.
func (b *Backend) Name() string { return b.cfg.Name }

// Kind implements backends.Backend.
func (b *Backend) Kind() backends.Kind { return backends.DedicatedPostgres }

// Shared implements backends.Backend.
func (b *Backend) Shared() bool { return false }

// Measured implements backends.Backend.
func (b *Backend) Measured() bool { return false }

// home is what a place is made of.
type home struct {
	name             string // of the database and of the role
	quotedName       string
	quotedPassword   string
	appDSN, adminDSN string
}

func (b *Backend) home(p backends.Place) (home, error) {
	if !ids.Valid(string(p.Storefront)) || p.Epoch < 1 {
		return home{}, fmt.Errorf("a place needs a storefront id and an epoch, not %q at %d", p.Storefront, p.Epoch)
	}
	name := fmt.Sprintf("ss_%s_%d", strings.ReplaceAll(string(p.Storefront), "-", ""), p.Epoch)
	password := hex.EncodeToString(b.keys.HMAC("dedicated role", []byte(b.cfg.Name), []byte(name)))
	u, err := url.Parse(b.cfg.AdminDSN)
	if err != nil {
		return home{}, errors.New("the administrator's DSN is not a URL")
	}
	u.Path = "/" + name
	admin := u.String()
	u.User = url.UserPassword(name, password)
	return home{
		name: name, quotedName: pq.QuoteIdentifier(name), quotedPassword: pq.QuoteLiteral(password),
		appDSN: u.String(), adminDSN: admin,
	}, nil
}

// Create implements backends.Backend. Each step may have been done by an earlier
// try that died.
func (b *Backend) Create(ctx context.Context, p backends.Place) error {
	h, err := b.home(p)
	if err != nil {
		return err
	}
	for _, step := range []struct{ exists, make string }{
		{
			`SELECT count(*) FROM pg_roles WHERE rolname = $1`,
			"CREATE ROLE " + h.quotedName + " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD " + h.quotedPassword,
		},
		{`SELECT count(*) FROM pg_database WHERE datname = $1`, "CREATE DATABASE " + h.quotedName + " TEMPLATE template0 ENCODING 'UTF8'"},
	} {
		var n int
		if err := b.admin.QueryRowContext(ctx, step.exists, h.name).Scan(&n); err != nil {
			return b.classify(err)
		}
		if n > 0 {
			continue
		}
		if _, err := b.admin.ExecContext(ctx, step.make); err != nil && !existsAlready(err) {
			return b.classify(err)
		}
	}
	if _, err := b.admin.ExecContext(ctx, "REVOKE ALL ON DATABASE "+h.quotedName+" FROM PUBLIC"); err != nil {
		return b.classify(err)
	}
	if _, err := b.admin.ExecContext(ctx, "GRANT CONNECT ON DATABASE "+h.quotedName+" TO "+h.quotedName); err != nil {
		return b.classify(err)
	}
	return b.Upgrade(ctx, p)
}

func existsAlready(err error) bool {
	var e *pq.Error
	return errors.As(err, &e) && (e.Code == "42710" || e.Code == "42P04" || e.Code == "23505")
}

func (b *Backend) classify(err error) error { return (&postgres.Dialect{}).Classify(err) }

// Upgrade implements backends.Backend.
func (b *Backend) Upgrade(ctx context.Context, p backends.Place) error {
	h, err := b.home(p)
	if err != nil {
		return err
	}
	if err := b.exists(ctx, h); err != nil {
		return err
	}
	return postgres.Migrate(ctx, h.adminDSN, h.name, b.catalog)
}

// Schema implements backends.Backend.
func (b *Backend) Schema(ctx context.Context, p backends.Place) (database.Schema, error) {
	h, err := b.home(p)
	if err != nil {
		return database.Schema{}, err
	}
	if err := b.exists(ctx, h); err != nil {
		return database.Schema{}, err
	}
	owner, err := postgres.Open(h.adminDSN)
	if err != nil {
		return database.Schema{}, err
	}
	schema, err := postgres.Schema(ctx, owner)
	return schema, errors.Join(err, owner.Close())
}

func (b *Backend) exists(ctx context.Context, h home) error {
	var n int
	if err := b.admin.QueryRowContext(ctx, `SELECT count(*) FROM pg_database WHERE datname = $1`, h.name).Scan(&n); err != nil {
		return b.classify(err)
	}
	if n == 0 {
		return backends.ErrNoPlace
	}
	return nil
}

// Open implements backends.Backend.
func (b *Backend) Open(ctx context.Context, p backends.Place) (backends.Store, error) {
	h, err := b.home(p)
	if err != nil {
		return nil, err
	}
	if err := b.exists(ctx, h); err != nil {
		return nil, err
	}
	budget, err := b.connectionBudget(ctx)
	if err != nil {
		return nil, err
	}
	pools, err := budget.OpenPools(h.appDSN, h.adminDSN, connections)
	if err != nil {
		return nil, err
	}
	return sqlstore.New(sqlstore.Options{
		Place: p, Catalog: b.catalog, Dialect: &postgres.Dialect{Pools: pools, Alone: true}, Lanes: pools.Lanes(budget.PerPool(connections)),
		Pools: pools.All(), Closed: func() { budget.Forget(pools) },
	}), nil
}

// connectionBudget is what the places have of the server's connections.
func (b *Backend) connectionBudget(ctx context.Context) (*postgres.Budget, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if b.budget == nil {
		available, err := postgres.Available(ctx, b.admin)
		if err != nil {
			return nil, err
		}
		b.budget = postgres.NewBudget(available)
	}
	return b.budget, nil
}

// Ping implements backends.Backend.
func (b *Backend) Ping(ctx context.Context) error { return postgres.Reach(ctx, b.admin) }

// Check implements backends.Backend.
func (b *Backend) Check(ctx context.Context) []backends.Finding {
	return postgres.Inspect(ctx, b.admin,
		func() backends.Finding { return b.checkRights(ctx) },
		func() backends.Finding { return postgres.CheckSight(ctx, b.admin) },
		func() backends.Finding { return postgres.CheckConnections(ctx, b.admin, wanted) },
		func() backends.Finding { return postgres.CheckDirect(ctx, b.cfg.AdminDSN) },
	)
}

func (b *Backend) checkRights(ctx context.Context) backends.Finding {
	f := backends.Finding{Check: "rights to create databases and roles"}
	var may bool
	err := b.admin.QueryRowContext(ctx, `SELECT rolsuper OR rolcreatedb AND rolcreaterole FROM pg_roles WHERE rolname = current_user`).Scan(&may)
	if err == nil && !may {
		f.Problem, f.Fix = "the administrator's role may not create databases and roles", "ALTER ROLE it CREATEDB CREATEROLE"
	}
	if err != nil {
		f.Problem, f.Fix = "cannot be told: "+err.Error(), "see that the administrator's role may log in"
	}
	return f
}

// Room implements backends.Backend.
func (b *Backend) Room(ctx context.Context) (backends.Room, error) {
	return postgres.Room(ctx, b.admin)
}

// Strain implements backends.Backend: all of the server's.
func (b *Backend) Strain(ctx context.Context) (backends.Strain, error) {
	return postgres.Strain(ctx, b.admin)
}

// Connections implements backends.Backend: the administrator's.
func (b *Backend) Connections() backends.Connections { return backends.CountConnections(b.admin) }

// Close implements backends.Backend.
func (b *Backend) Close() error { return b.admin.Close() }
