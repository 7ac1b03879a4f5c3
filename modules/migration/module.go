package migration

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"smartseller/backends"
	"smartseller/migrations"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
)

// Module wires the package.
var Module = fx.Module("migration", fx.Provide(provideRunner, NewService, fx.Annotate((*Runner).Metrics, fx.ResultTags(`group:"metrics"`))), fx.Invoke(Routes))

// Lease is how long a move whose instance died waits for another one; see
// RunnerOptions.Lease.
type Lease time.Duration

type runnerIn struct {
	fx.In
	Lifecycle fx.Lifecycle
	DB        *control.DB
	Directory *backends.Directory
	Stores    *backends.Stores
	Router    *backends.Router
	Keys      *crypto.Keyring
	Log       *slog.Logger
	Lease     Lease
	Gates     []Gate `group:"gates"`
}

func provideRunner(in runnerIn) (*Runner, error) {
	known, err := migrations.CountTenant()
	if err != nil {
		return nil, err
	}
	r := NewRunner(RunnerOptions{
		DB: in.DB, Directory: in.Directory, Stores: in.Stores, Router: in.Router, Keys: in.Keys, Log: in.Log, Gates: in.Gates, Lease: time.Duration(in.Lease),
		TenantMigrations: int64(known),
	})
	in.Lifecycle.Append(fx.Hook{
		OnStart: func(context.Context) error {
			r.Start()
			return nil
		},
		OnStop: func(context.Context) error {
			r.Stop()
			return nil
		},
	})
	return r, nil
}
