package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"smartseller/backends"
	"smartseller/backends/dedicatedpostgres"
	"smartseller/backends/sharedpostgres"
	"smartseller/backends/sqlite"
	"smartseller/modules/auth"
	"smartseller/modules/customers"
	"smartseller/modules/migration"
	"smartseller/modules/migration/planning"
	"smartseller/modules/migration/seller"
	"smartseller/modules/monitoring"
	"smartseller/modules/storefronts"
	"smartseller/modules/storefronts/analytics"
	"smartseller/modules/storefronts/imports"
	"smartseller/modules/storefronts/orders"
	"smartseller/modules/storefronts/products"
	"smartseller/modules/storefronts/upgrades"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
	"smartseller/platform/httpx"
)

// After the program is told to stop it goes on answering for notice, so that load
// balancers and clients that keep connections learn of it before one is closed
// under a request; requests in flight may then take as long as grace.
const (
	notice = time.Second
	grace  = 20 * time.Second
)

// startTimeout is how long a start may take, with waiting for another instance's.
const startTimeout = time.Minute

// serve runs the program until ctx ends.
func serve(ctx context.Context, s Settings, out io.Writer) error {
	var server *httpx.Server
	var first *firstStart
	program := fx.New(Wiring(s), fx.Populate(&server, &first))
	if err := program.Err(); err != nil {
		return dig.RootCause(err) // without the wiring's own words
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := program.Start(starting); err != nil {
		return err
	}
	err := serveOn(ctx, s.Listen, server, first, out)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return errors.Join(err, program.Stop(stopping))
}

func serveOn(ctx context.Context, at address, server *httpx.Server, first *firstStart, out io.Writer) error {
	listener, err := net.Listen("tcp", string(at))
	if err != nil {
		return fault.New(fault.Unavailable, "cannot_listen", "Cannot serve on %s (%v): choose another address by --listen.", at, err).Because(err)
	}
	if err := first.welcome(ctx, out, listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	return server.Serve(ctx, listener, notice, grace)
}

// Wiring is the list of what the program is made of.
func Wiring(s Settings) fx.Option {
	return fx.Options(
		fx.Supply(s, migration.Lease(s.MoveLease)),
		fx.WithLogger(func(log *slog.Logger) fxevent.Logger {
			l := &fxevent.SlogLogger{Logger: log}
			l.UseLogLevel(slog.LevelDebug)
			l.UseErrorLevel(slog.LevelDebug) // serve returns them, and Main says them in words for people
			return l
		}),
		fx.Provide(newLog, openKeys, openControl, NewCatalog, newDirectory, newStores, newRouter, newServer, importOptions, authOptions),
		fx.Provide(fx.Annotate(authenticationGate, fx.ResultTags(`group:"gates"`))),
		auth.Module, customers.Module, storefronts.Module, upgrades.Module, products.Module, orders.Module, imports.Module, migration.Module, planning.Module, seller.Module, monitoring.Module,
		fx.Provide(newFirstStart),
	)
}

func newLog(s Settings) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return nil, err
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})), nil
}

func openKeys(s Settings) (*crypto.Keyring, error) { return s.keyring() }

func openControl(lc fx.Lifecycle, s Settings) (*control.DB, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	db, err := s.openControl(ctx)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.Hook{OnStop: func(context.Context) error { return db.Close() }})
	return db, nil
}

// NewCatalog joins the tables of all modules.
func NewCatalog() (*backends.Catalog, error) {
	return backends.NewCatalog(slices.Concat(auth.Tables(), customers.Tables(), migration.Tables(),
		products.Tables(), orders.Tables(), analytics.Tables())...)
}

// openers open each kind of backend.
func openers(catalog *backends.Catalog, keys *crypto.Keyring) map[backends.Kind]backends.Opener {
	return map[backends.Kind]backends.Opener{
		backends.SQLite:            sqlite.Opener(catalog),
		backends.SharedPostgres:    sharedpostgres.Opener(catalog),
		backends.DedicatedPostgres: dedicatedpostgres.Opener(catalog, keys),
	}
}

func newDirectory(lc fx.Lifecycle, db *control.DB, keys *crypto.Keyring, catalog *backends.Catalog) *backends.Directory {
	d := backends.NewDirectory(db, keys, catalog, openers(catalog, keys))
	lc.Append(fx.Hook{
		OnStart: func(ctx context.Context) error { return sameMasterKey(ctx, d) },
		OnStop:  func(context.Context) error { return d.Close() },
	})
	return d
}

// sameMasterKey keeps an instance with another master key than the others', or with one
// that was made anew because the file was lost, from failing at one request after the other.
func sameMasterKey(ctx context.Context, d *backends.Directory) error {
	_, err := d.Configs(ctx)
	if errors.Is(err, crypto.ErrSealed) {
		return fault.New(fault.Misconfigured, "other_master_key", "This is not the master key that the control database was sealed with: give that one, "+
			"as master.key in the data folder or by the setting master_key.").Because(err)
	}
	return err
}

func newStores(lc fx.Lifecycle, s Settings, d *backends.Directory) *backends.Stores {
	stores := backends.NewStores(d, int(s.MaxStores))
	if s.OldSchema == "refuse" {
		stores.RefuseBehind()
	}
	lc.Append(fx.Hook{OnStop: func(context.Context) error { return stores.Close() }})
	return stores
}

func newRouter(d *backends.Directory, stores *backends.Stores) (*backends.Router, backends.TenantStore) {
	r := backends.NewRouter(d, stores, backends.RouterOptions{})
	return r, r
}

// authenticationGate lets a move ask, before its cutover, whether customers could
// go on at the target.
func authenticationGate() migration.Gate {
	return migration.Gate{Name: "authentication canary", Check: auth.Canary}
}

func newServer(s Settings, log *slog.Logger) (*httpx.Server, error) {
	proxies, err := s.Proxies.prefixes()
	return httpx.New(httpx.Options{Version: Version(), Log: log, Proxies: proxies}), err
}

func importOptions(s Settings) imports.Options {
	return imports.Options{Folder: s.spools(), Limit: int64(s.ImportMiB) << 20}
}

func authOptions(s Settings) auth.Options {
	return auth.Options{KeepAudit: time.Duration(s.AuditDays) * 24 * time.Hour}
}
