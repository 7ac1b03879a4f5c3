// Package load is a crowd of customers: a steady load on one storefront, over HTTP,
// that remembers every answer. Whatever was acknowledged must be read back at once,
// and must be there at the end; what was deleted, used or revoked must stay so; and what
// several did to one thing side by side must be linearizable. It knows the storefront
// API, a judge of histories, and nothing else of the program.
package load

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"smartseller/modules/migration/history"
)

// Options are what a load is made of.
type Options struct {
	URL string // the server's, such as http://127.0.0.1:8080
	// Server says which server the next request goes to, by its URL, where there are
	// several; nil: to URL. Called by all workers side by side.
	Server     func() string
	Storefront string // slug
	Workers    int    // who act side by side; 0: 4
	Customers  int    // of each worker, nobody else's; 0: 3
	Rate       int    // activities a second, of all workers together; 0: 50
	// Client sends the requests; nil: one that waits ten seconds for an answer.
	Client *http.Client
	// Restarts says that the server may be killed and started again: a request
	// that gets no answer is then no failure, but may or may not have had its
	// effect, and what is read next decides.
	Restarts bool
	// Writing says that everybody writes and reads back what they wrote, and does
	// nothing else: all requests then cost the server about the same.
	Writing bool
}

// Load is the crowd. Start and Stop may be repeated; all else is safe at any time.
type Load struct {
	o       Options
	workers []*worker
	journal journal

	catalogue  []variant // what can be ordered; empty: nobody orders
	currency   string
	stock      *stock
	numbers    sync.Map // of orders, to their ids
	activities []activity

	rivalry     *history.History // what rivals have done since it was judged last; nil: there are none
	rivalWrites atomic.Int64     // makes every value written a new one

	stop    context.CancelFunc
	running sync.WaitGroup
}

// New registers the customers; ctx bounds that.
func New(ctx context.Context, o Options) (*Load, error) {
	o.Workers, o.Customers, o.Rate = cmp.Or(o.Workers, 4), cmp.Or(o.Customers, 3), cmp.Or(o.Rate, 50)
	if url := strings.TrimSuffix(o.URL, "/"); o.Server == nil {
		o.Server = func() string { return url }
	}
	if o.Client == nil {
		o.Client = newClient(o.Workers)
	}
	l := &Load{o: o, stop: func() {}, stock: newStock(), activities: activities}
	if o.Writing {
		l.activities = writing
	}
	crowd := strings.ToLower(rand.Text()[:8]) // several loads may meet at one storefront
	for n := range o.Workers {
		w := &worker{load: l, number: n}
		for m := range o.Customers {
			c := newCustomer(l, fmt.Sprintf("%s-%d-%d@example.com", crowd, n, m))
			if err := c.register(ctx); err != nil {
				return nil, err
			}
			w.customers = append(w.customers, c)
		}
		l.workers = append(l.workers, w)
	}
	if err := l.browse(ctx, l.workers[0].customers[0]); err != nil {
		return nil, err
	}
	if !o.Writing {
		if err := l.bringRivals(ctx, crowd+"-rivals@example.com"); err != nil {
			return nil, err
		}
	}
	if len(l.catalogue) > 0 && !o.Writing {
		l.activities = append(l.activities[:len(l.activities):len(l.activities)], shopping...)
	}
	return l, nil
}

func newClient(workers int) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 2 * workers
	return &http.Client{Transport: t, Timeout: 30 * time.Second}
}

// Start lets everybody act until Stop, or until ctx ends.
func (l *Load) Start(ctx context.Context) {
	ctx, l.stop = context.WithCancel(ctx)
	for _, w := range l.workers {
		l.running.Go(func() { w.run(ctx) })
	}
}

// Stop lets requests under way come to their end and returns when nothing runs.
func (l *Load) Stop() {
	l.stop()
	l.running.Wait()
}

// patiently tries something until it comes about, for as long as a server that was
// killed takes to come back, and says whether it has.
func (l *Load) patiently(ctx context.Context, try func() bool) bool {
	var deadline time.Time // counted from the end of the first try, which may take as long itself
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !try() {
		now := time.Now()
		if deadline.IsZero() {
			deadline = now
			if l.o.Restarts {
				deadline = now.Add(10 * time.Second)
			}
		}
		if !now.Before(deadline) || ctx.Err() != nil {
			return false
		}
		select {
		case <-ctx.Done():
		case <-again.C:
		}
	}
	return true
}

// Verify compares the journal with what the API answers now. The load must be
// stopped. The error names every difference, and every failure before.
func (l *Load) Verify(ctx context.Context) error {
	for _, w := range l.workers {
		for _, c := range w.customers {
			c.verify(ctx)
		}
	}
	if l.rivalry != nil {
		l.judgeRivals(ctx)
	}
	failures := l.journal.failures()
	if len(failures) == 0 {
		return nil
	}
	return errors.New(strings.Join(failures, "\n"))
}
