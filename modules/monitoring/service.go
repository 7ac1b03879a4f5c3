package monitoring

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"smartseller/backends"
	"smartseller/platform/clock"
	"smartseller/platform/control"
)

// Options are what the service is made of.
type Options struct {
	DB        *control.DB
	Directory *backends.Directory
	Stores    *backends.Stores
	// Serving says that this instance was not told to stop.
	Serving func() bool
	// Collectors are numbers that other modules have.
	Collectors []prometheus.Collector
	Log        *slog.Logger
	Clock      clock.Clock // nil: clock.System
}

// Service watches this instance. Safe for concurrent use.
type Service struct {
	o        Options
	requests *prometheus.HistogramVec
	metrics  http.Handler

	mu   sync.Mutex
	last []Check // what the control database said
	at   time.Time
}

// NewService makes the service. An error says that two collectors give the same
// number.
func NewService(o Options) (*Service, error) {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	s := &Service{o: o, requests: newRequests()}
	registry := prometheus.NewRegistry()
	for _, c := range append([]prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		s.requests, &pools{db: o.DB, directory: o.Directory, stores: o.Stores},
	}, o.Collectors...) {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	// What can be had is shown when something cannot: numbers are wanted most while
	// a database is away.
	s.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4,
	})
	return s, nil
}

// Ready makes every check. What the control database says is remembered for a
// second; that the program stops shows at once.
func (s *Service) Ready(ctx context.Context) []Check {
	serving := Check{Name: checkServing}
	if !s.o.Serving() {
		serving.Problem = "The program was told to stop and finishes the requests that are under way."
	}
	return append([]Check{serving}, s.controlChecks(ctx)...)
}

func (s *Service) controlChecks(ctx context.Context) []Check {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && s.o.Clock().Sub(s.at) < fresh {
		return s.last
	}
	// Others wait for this answer, so it does not end with whoever asked first.
	checks, err := inspect(context.WithoutCancel(ctx), s.o.DB)
	if err != nil {
		s.o.Log.WarnContext(ctx, "the control database does not answer", "error", err)
	}
	s.last, s.at = checks, s.o.Clock()
	return checks
}
