package storefronts

import "go.uber.org/fx"

// Module wires the package.
var Module = fx.Module("storefronts", fx.Provide(NewService), fx.Invoke(Routes))
