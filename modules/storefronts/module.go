package storefronts

import (
	"context"
	"log/slog"

	"go.uber.org/fx"
)

// Module wires the package.
var Module = fx.Module("storefronts", fx.Provide(NewService), fx.Invoke(tidy, Routes))

func tidy(lc fx.Lifecycle, s *Service, log *slog.Logger) {
	lc.Append(fx.StartHook(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, tidyWithin)
		defer cancel()
		if err := s.Tidy(ctx); err != nil {
			log.WarnContext(ctx, "places of storefronts that never began are still there; the next start tries again", "error", err)
		}
	}))
}
