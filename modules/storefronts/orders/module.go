package orders

import "go.uber.org/fx"

// Module wires the package.
var Module = fx.Module("orders", fx.Provide(NewService), fx.Invoke(Routes))
