// Package load is a crowd of customers: a steady load on one storefront, over HTTP,
// that remembers every answer. Whatever was acknowledged must be read back at once,
// and must be there at the end; what was deleted, used or revoked must stay so. It
// knows the storefront API and nothing else of the program.
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
	"time"
)

// Options are what a load is made of.
type Options struct {
	URL        string // the server's, such as http://127.0.0.1:8080
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
	// Shared says that others order at this storefront too: what is left of a
	// variant need then not add up with what this load bought.
	Shared bool
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

	stop    context.CancelFunc
	running sync.WaitGroup
}

// New registers the customers; ctx bounds that.
func New(ctx context.Context, o Options) (*Load, error) {
	o.Workers, o.Customers, o.Rate = cmp.Or(o.Workers, 4), cmp.Or(o.Customers, 3), cmp.Or(o.Rate, 50)
	o.URL = strings.TrimSuffix(o.URL, "/")
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

// Verify compares the journal with what the API answers now. The load must be
// stopped. The error names every difference, and every failure before.
func (l *Load) Verify(ctx context.Context) error {
	for _, w := range l.workers {
		for _, c := range w.customers {
			c.verify(ctx)
		}
	}
	failures := l.journal.failures()
	if len(failures) == 0 {
		return nil
	}
	return errors.New(strings.Join(failures, "\n"))
}
