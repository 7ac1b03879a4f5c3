package auth

import "go.uber.org/fx"

// Module wires the package.
var Module = fx.Module("auth", fx.Provide(NewPasswords, NewService, NewSessions), fx.Invoke(Routes))
