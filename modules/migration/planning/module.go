package planning

import (
	"log/slog"

	"go.uber.org/fx"

	"smartseller/backends"
	"smartseller/modules/migration"
	"smartseller/platform/control"
)

// Module wires the package.
var Module = fx.Module("planning", fx.Provide(NewService), fx.Invoke(startGatherer, startScheduler, explain, Routes))

func explain(moves *migration.Service, s *Service) { moves.ExplainBy(s.ExplainMove) }

func startGatherer(lc fx.Lifecycle, db *control.DB, router *backends.Router, directory *backends.Directory, stores *backends.Stores, log *slog.Logger) {
	g := NewGatherer(db, router.Traffic(), directory, stores, log)
	lc.Append(fx.StartStopHook(g.Start, g.Stop))
}

func startScheduler(lc fx.Lifecycle, db *control.DB, moves *migration.Service, log *slog.Logger) {
	s := NewScheduler(SchedulerOptions{DB: db, Moves: moves, Log: log})
	lc.Append(fx.StartStopHook(s.Start, s.Stop))
}
