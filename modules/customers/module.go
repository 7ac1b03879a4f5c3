package customers

import "go.uber.org/fx"

// Module wires the package.
var Module = fx.Module("customers", fx.Provide(NewService), fx.Invoke(Routes))
