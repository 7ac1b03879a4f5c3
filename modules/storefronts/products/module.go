package products

import "go.uber.org/fx"

// Module wires the package.
var Module = fx.Module("products", fx.Provide(NewService), fx.Invoke(Routes))
