package imports

import "go.uber.org/fx"

// Module wires the package; Options come from the program.
var Module = fx.Module("imports", fx.Provide(NewService), fx.Invoke(run, Routes))

func run(lc fx.Lifecycle, s *Service) { lc.Append(fx.StartStopHook(s.Start, s.Stop)) }
