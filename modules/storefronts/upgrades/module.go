package upgrades

import (
	"log/slog"

	"go.uber.org/fx"
)

// Module wires the package.
var Module = fx.Module("upgrades", fx.Provide(NewService), fx.Invoke(startUpgrader, Routes))

func startUpgrader(lc fx.Lifecycle, s *Service, log *slog.Logger) {
	u := NewUpgrader(UpgraderOptions{Service: s, Log: log})
	lc.Append(fx.StartStopHook(u.Start, u.Stop))
	lc.Append(fx.StopHook(s.Stop))
}
