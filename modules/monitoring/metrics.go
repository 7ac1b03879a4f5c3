package monitoring

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smartseller/backends"
	"smartseller/platform/control"
)

// Names follow OpenTelemetry's conventions where those have one.
func newRequests() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_server_request_duration_seconds",
		Help:    "Requests by route and status, and how long they took. Event streams last as long as somebody follows them.",
		Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
	}, []string{"http_request_method", "http_route", "http_response_status_code"})
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// Observe counts a request. The method is the client's to choose and therefore
// bounded here; the route is the template, never the path.
func (s *Service) Observe(method, route string, status int, took time.Duration) {
	if !slices.Contains(methods, method) {
		method = "_OTHER"
	}
	s.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// pools collects, at each scrape, what is open of every registered backend.
type pools struct {
	db        *control.DB
	directory *backends.Directory
	stores    *backends.Stores
}

var (
	connectionsDesc = prometheus.NewDesc("db_client_connection_count", "Open connections of a backend's pools.",
		[]string{"db_client_connection_pool_name", "db_client_connection_state"}, nil)
	connectionsMaxDesc = prometheus.NewDesc("db_client_connection_max", "Connections that a backend's open pools may have.",
		[]string{"db_client_connection_pool_name"}, nil)
	storesDesc = prometheus.NewDesc("smartseller_stores", "Storefronts of a backend that are open here.",
		[]string{"backend", "state"}, nil)
	storefrontsDesc = prometheus.NewDesc("smartseller_storefronts", "Storefronts that a backend holds.", []string{"backend"}, nil)
)

// Describe implements prometheus.Collector.
func (*pools) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connectionsDesc, connectionsMaxDesc, storesDesc, storefrontsDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *pools) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	held, err := p.directory.Holding(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(storefrontsDesc, err)
	}
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	connections := func(name string, c backends.Connections) {
		gauge(connectionsDesc, c.InUse, name, "used")
		gauge(connectionsDesc, c.Idle, name, "idle")
		gauge(connectionsMaxDesc, c.Most, name)
	}
	connections("control database", controlConnections(p.db)) // a name that no backend can have
	for name, u := range p.stores.Usage() {
		connections(name, u.Connections)
		gauge(storesDesc, u.Busy, name, "used")
		gauge(storesDesc, u.Stores-u.Busy, name, "idle")
	}
	for name, n := range held {
		gauge(storefrontsDesc, int(n), name)
	}
}

func controlConnections(db *control.DB) (c backends.Connections) {
	for _, pool := range db.Pools() {
		c.InUse += pool.InUse
		c.Idle += pool.Idle
		c.Most += pool.MaxOpenConnections
	}
	return c
}
