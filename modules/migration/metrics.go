package migration

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smartseller/platform/control"
)

// openPhases are those that an open move can be in.
var openPhases = []Phase{
	Planned, Preparing, Copying, CatchingUp, Verifying, CuttingOver, Watching, Finalizing, Paused, Cancelling, RollingBack,
}

// endedPhases are those that a move ends in.
var endedPhases = []Phase{Completed, Cancelled, RolledBack, Failed, Rehearsed}

// Phases are all phases that there are.
func Phases() []Phase { return slices.Concat(openPhases, endedPhases) }

var movesDesc = prometheus.NewDesc("smartseller_moves", "Open moves by phase, of all instances together.", []string{"phase"}, nil)

// metrics are the moves in numbers: those that are open, as persisted and thus the
// same at every instance, and what this instance did.
type metrics struct {
	db     *control.DB
	copied prometheus.Counter
	ended  *prometheus.CounterVec
	audits *prometheus.CounterVec
	lagged prometheus.Counter
}

func newMetrics(db *control.DB) *metrics {
	m := &metrics{
		db: db,
		copied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "smartseller_move_copied_rows_total", Help: "Rows that moves run by this instance have copied.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smartseller_moves_ended_total", Help: "Moves that have ended at this instance.",
		}, []string{"outcome"}),
		audits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smartseller_move_audits_total", Help: "Comparisons of both places of a move in its rollback window; different: an alarm, see the move.",
		}, []string{"result"}),
		lagged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "smartseller_move_windows_lagged_total", Help: "How often an old place fell too far behind in the rollback window, which closes then unless the places differ: an alarm.",
		}),
	}
	for _, result := range []string{"equal", "different"} {
		m.audits.WithLabelValues(result)
	}
	for _, outcome := range endedPhases {
		m.ended.WithLabelValues(string(outcome))
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- movesDesc
	m.copied.Describe(ch)
	m.ended.Describe(ch)
	m.audits.Describe(ch)
	m.lagged.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.copied.Collect(ch)
	m.ended.Collect(ch)
	m.audits.Collect(ch)
	m.lagged.Collect(ch)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := countOpen(ctx, m.db)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(movesDesc, err)
		return
	}
	for _, p := range openPhases {
		ch <- prometheus.MustNewConstMetric(movesDesc, prometheus.GaugeValue, float64(counts[p]), string(p))
	}
}

// Metrics are the runner's numbers.
func (r *Runner) Metrics() prometheus.Collector { return r.metrics }
