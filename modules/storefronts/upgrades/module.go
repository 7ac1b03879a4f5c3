package upgrades

import (
	"context"
	"log/slog"

	"go.uber.org/fx"
)

// Module wires the package.
var Module = fx.Module("upgrades", fx.Provide(NewService), fx.Invoke(startUpgrader, Routes))

func startUpgrader(lc fx.Lifecycle, s *Service, log *slog.Logger) {
	u := NewUpgrader(UpgraderOptions{Service: s, Log: log})
	lc.Append(fx.Hook{
		OnStart: func(context.Context) error {
			u.Start()
			return nil
		},
		OnStop: u.Stop,
	})
}
