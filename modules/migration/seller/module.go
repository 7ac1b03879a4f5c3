package seller

import "go.uber.org/fx"

// Module wires the package.
var Module = fx.Module("seller", fx.Provide(NewService), fx.Invoke(Routes))
