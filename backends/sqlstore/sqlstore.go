// Package sqlstore is the one implementation of [backends.Store], shared by all
// backends: transactions with their fence, retries and capture, and every verb
// of the mover. What differs between engines is a [Dialect].
package sqlstore

import (
	"database/sql"
	"errors"
	"time"

	"smartseller/backends"
	"smartseller/platform/clock"
)

// Options are what a store is made of.
type Options struct {
	Place   backends.Place
	Catalog *backends.Catalog
	Dialect Dialect
	Clock   clock.Clock // nil: clock.System
	// Timeout bounds each wait for a lock and each statement of an application
	// transaction; 0: 5 s.
	Timeout time.Duration
	// Lanes bound how many transactions of each kind are under way; nil ones do not.
	Lanes Lanes
	// Pools belong to this place alone and are closed with it, in this order. None says
	// that places share the tables: then no load gives up their indexes, and other
	// storefronts' rows are no strangers.
	Pools []*sql.DB
	// Closed, if set, is called when they are.
	Closed func()
}

// Store is an opened place. Safe for concurrent use.
type Store struct {
	place   backends.Place
	catalog *backends.Catalog
	dialect Dialect
	clock   clock.Clock
	timeout time.Duration
	lanes   Lanes
	pools   []*sql.DB
	closed  func()
}

var _ backends.Store = (*Store)(nil)

// New makes the store of a place that exists. It touches no database.
func New(o Options) *Store {
	s := &Store{place: o.Place, catalog: o.Catalog, dialect: o.Dialect, clock: o.Clock, timeout: o.Timeout, lanes: o.Lanes, pools: o.Pools, closed: o.Closed}
	if s.clock == nil {
		s.clock = clock.System
	}
	if s.timeout == 0 {
		s.timeout = 5 * time.Second
	}
	return s
}

// Place says which place this is.
func (s *Store) Place() backends.Place { return s.place }

// Close releases what belongs to this place alone. Transactions under way must have ended.
func (s *Store) Close() error {
	var errs []error
	for _, p := range s.pools {
		errs = append(errs, p.Close())
	}
	if s.closed != nil {
		s.closed()
	}
	return errors.Join(errs...)
}

// Connections implements backends.Store.
func (s *Store) Connections() backends.Connections { return backends.CountConnections(s.pools...) }
