package backends

import (
	"reflect"
	"sync"
	"time"
)

// TrafficBounds are the upper bounds of Traffic.Latency's buckets, in milliseconds;
// one more bucket holds what took longer.
var TrafficBounds = [...]int64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}

// Changes are what a committed transaction did to one table.
type Changes struct {
	Added   int64 // rows that came less rows that went; an upsert's are not known and count as none
	Written int64 // rows that were inserted, updated or deleted
}

// StorefrontHour is an hour of a storefront, in hours UTC since 1970.
type StorefrontHour struct {
	Storefront StorefrontID
	Hour       int64
}

// Traffic is what happened at one storefront in an hour, since it was last taken.
type Traffic struct {
	Requests int64 // transactions, also those that failed
	Writes   int64 // transactions that changed something
	Latency  [len(TrafficBounds) + 1]int64
	Tables   map[string]Changes
	At       time.Time // of the last request
}

// Add joins what happened at two times.
func (t *Traffic) Add(more Traffic) {
	t.Requests += more.Requests
	t.Writes += more.Writes
	for i, n := range more.Latency {
		t.Latency[i] += n
	}
	for table, c := range more.Tables {
		if t.Tables == nil {
			t.Tables = map[string]Changes{}
		}
		sum := t.Tables[table]
		t.Tables[table] = Changes{Added: sum.Added + c.Added, Written: sum.Written + c.Written}
	}
	if more.At.After(t.At) {
		t.At = more.At
	}
}

// MaxMetered is how many storefronts a TrafficMeter remembers between two times that
// it is taken; one that is busy in two hours counts twice.
const MaxMetered = 20_000

// TrafficMeter counts what happens at each storefront of this instance, in bounded
// memory. Safe for concurrent use.
type TrafficMeter struct {
	clock func() time.Time
	full  chan struct{}

	mu     sync.Mutex
	shops  map[StorefrontHour]*Traffic
	missed int64
}

// NewTrafficMeter makes a meter.
func NewTrafficMeter(clock func() time.Time) *TrafficMeter {
	return &TrafficMeter{clock: clock, full: make(chan struct{}, 1), shops: map[StorefrontHour]*Traffic{}}
}

// Full says that the meter should be taken soon, or it misses requests.
func (m *TrafficMeter) Full() <-chan struct{} { return m.full }

// Take empties the meter. missed is how many requests it had no room for.
func (m *TrafficMeter) Take() (shops map[StorefrontHour]*Traffic, missed int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	shops, missed = m.shops, m.missed
	m.shops, m.missed = map[StorefrontHour]*Traffic{}, 0
	return shops, missed
}

// Add counts what happened in the hour of its last request, also what was taken and could
// not be kept.
func (m *TrafficMeter) Add(storefront StorefrontID, more Traffic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := StorefrontHour{storefront, more.At.Unix() / 3600}
	shop := m.shops[at]
	if shop == nil {
		if len(m.shops) >= MaxMetered {
			m.missed += more.Requests
			return
		}
		if len(m.shops) == MaxMetered*3/4 {
			select {
			case m.full <- struct{}{}:
			default: // it was said already
			}
		}
		shop = &Traffic{}
		m.shops[at] = shop
	}
	shop.Add(more)
}

// note counts one request.
func (m *TrafficMeter) note(storefront StorefrontID, began time.Time, changes map[string]Changes) {
	now := m.clock()
	t := Traffic{Requests: 1, Tables: changes, At: now}
	if len(changes) > 0 {
		t.Writes = 1
	}
	bucket := 0
	for took := now.Sub(began).Milliseconds(); bucket < len(TrafficBounds) && took >= TrafficBounds[bucket]; bucket++ {
	}
	t.Latency[bucket] = 1
	m.Add(storefront, t)
}

// countedTx counts the rows that a transaction writes. Once it has committed they
// are what happened.
type countedTx struct {
	Tx
	changes map[string]Changes
}

func (c *countedTx) count(s *Statement, rows int64) {
	if s.Kind != WriteStatement || rows == 0 {
		return
	}
	sum := c.changes[s.Table.Name]
	c.changes[s.Table.Name] = Changes{Added: sum.Added + s.adds*rows, Written: sum.Written + rows}
}

// Get implements Tx.
func (c *countedTx) Get(dst any, s *Statement, args ...any) error {
	err := c.Tx.Get(dst, s, args...)
	if err == nil {
		c.count(s, 1)
	}
	return err
}

// Select implements Tx.
func (c *countedTx) Select(dst any, s *Statement, args ...any) error {
	err := c.Tx.Select(dst, s, args...)
	if err == nil && s.Kind == WriteStatement {
		c.count(s, int64(reflect.ValueOf(dst).Elem().Len()))
	}
	return err
}

// Exec implements Tx.
func (c *countedTx) Exec(s *Statement, args ...any) (int64, error) {
	rows, err := c.Tx.Exec(s, args...)
	if err == nil {
		c.count(s, rows)
	}
	return rows, err
}

// ExecMany implements Tx.
func (c *countedTx) ExecMany(s *Statement, rows [][]any) (int64, error) {
	written, err := c.Tx.ExecMany(s, rows)
	if err == nil {
		c.count(s, written)
	}
	return written, err
}
