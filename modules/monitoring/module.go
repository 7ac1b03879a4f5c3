package monitoring

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/httpx"
)

// Module wires the package. Modules with numbers of their own add collectors to
// the group "metrics".
var Module = fx.Module("monitoring", fx.Provide(provideService), fx.Invoke(Routes))

type serviceIn struct {
	fx.In
	DB         *control.DB
	Directory  *backends.Directory
	Stores     *backends.Stores
	Server     *httpx.Server
	Log        *slog.Logger
	Collectors []prometheus.Collector `group:"metrics"`
}

func provideService(in serviceIn) (*Service, error) {
	return NewService(Options{
		DB: in.DB, Directory: in.Directory, Stores: in.Stores, Serving: in.Server.Ready, Collectors: in.Collectors, Log: in.Log,
	})
}
