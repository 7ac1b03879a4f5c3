package migration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration/history"
	"smartseller/platform/ids"
)

// A cell is one row of counters and one of one_time_tokens, always changed together:
// what the clients fight for. Whoever sees them differ has seen half a transaction.
var (
	readCell   = backends.Read(`SELECT value FROM counters WHERE storefront_id = $1 AND id = $2`)
	readTwin   = backends.Read(`SELECT token_hash FROM one_time_tokens WHERE storefront_id = $1 AND id = $2`)
	lockCell   = backends.Lock(`SELECT value FROM counters WHERE storefront_id = $1 AND id = $2`)
	putCell    = backends.Write(counters, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, $3) ON CONFLICT (storefront_id, id) DO UPDATE SET value = excluded.value`)
	putTwin    = backends.Write(tokens, `INSERT INTO one_time_tokens (storefront_id, id, customer_id, purpose, token_hash, email_key, created_at, expires_at) VALUES ($1, $2, '', 'twin', $3, '', 0, 0) ON CONFLICT (storefront_id, id) DO UPDATE SET token_hash = excluded.token_hash`)
	dropCell   = backends.Write(counters, `DELETE FROM counters WHERE storefront_id = $1 AND id = $2 RETURNING value`)
	dropTwin   = backends.Write(tokens, `DELETE FROM one_time_tokens WHERE storefront_id = $1 AND id = $2`)
	addNote    = backends.Write(tokens, `INSERT INTO one_time_tokens (storefront_id, id, customer_id, purpose, token_hash, email_key, created_at, expires_at) VALUES ($1, $2, '', 'note', $3, '', 0, 0)`)
	dropNote   = backends.Write(tokens, `DELETE FROM one_time_tokens WHERE storefront_id = $1 AND id = $2 RETURNING token_hash`)
	everyNote  = backends.Read(`SELECT id FROM one_time_tokens WHERE storefront_id = $1 AND purpose = 'note'`)
	loadCells  = []string{"cell-a", "cell-b", "cell-c"}
	loadValues atomic.Int64 // no value is ever written twice
)

const loadClients = 4

// load asks a storefront all the time, several clients fighting for a few cells and
// leaving notes, and remembers every answer.
type load struct {
	storefront backends.StorefrontID
	history    history.History
	notes      history.Journal
	tolerant   bool // requests may fail, as long as none lies
	stopped    chan struct{}
	running    sync.WaitGroup
	requests   atomic.Int64
	failures   atomic.Int64
	firstError atomic.Value

	mu      sync.Mutex
	stores  []backends.TenantStore       // one of an instance each
	asked   map[backends.TenantStore]int // requests under way
	longest time.Duration                // that a request took
}

func startLoad(id backends.StorefrontID, stores ...backends.TenantStore) *load {
	return (&load{storefront: id, stopped: make(chan struct{})}).start(stores...)
}

func (l *load) start(stores ...backends.TenantStore) *load {
	l.use(stores...)
	for n := range loadClients {
		l.running.Go(func() { (&client{load: l, number: n}).act() })
	}
	return l
}

// use sends the requests to come to these instances.
func (l *load) use(stores ...backends.TenantStore) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stores = stores
}

func (l *load) any() backends.TenantStore {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked == nil {
		l.asked = map[backends.TenantStore]int{}
	}
	store := l.stores[rand.N(len(l.stores))]
	l.asked[store]++
	return store
}

// asks says whether a request is under way at an instance.
func (l *load) asks(store backends.TenantStore) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[store] > 0
}

// answered says that one more request has ended, and how.
func (l *load) answered(store backends.TenantStore, took time.Duration, err error) {
	l.requests.Add(1)
	l.mu.Lock()
	l.asked[store]--
	l.longest = max(l.longest, took)
	l.mu.Unlock()
	if err != nil && !errors.Is(err, backends.ErrCommitUnknown) {
		l.failures.Add(1)
		l.firstError.CompareAndSwap(nil, err.Error())
	}
}

// check stops the load and judges it: no request failed, each cell's history is
// linearizable up to what is there now, and the notes are those that were
// acknowledged.
func (l *load) check(t *testing.T, store backends.TenantStore) {
	t.Helper()
	require.Eventually(t, func() bool { return l.notes.Certain() > 0 }, waitLong, waitStep, "nothing was tried")
	l.stop()
	if !l.tolerant {
		require.Zero(t, l.failures.Load(), "a request failed: %v", l.firstError.Load())
	}
	require.NoError(t, l.verdict(store))
}

func (l *load) stop() {
	close(l.stopped)
	l.running.Wait()
}

func (l *load) verdict(store backends.TenantStore) error {
	l.use(store)
	last := &client{load: l, number: loadClients}
	for _, cell := range loadCells {
		if err := last.read(cell); err != nil {
			return err
		}
	}
	var found []string
	err := store.View(context.Background(), l.storefront, func(_ context.Context, tx backends.Tx) error { return tx.Select(&found, everyNote) })
	asked, acknowledged := l.history.Size()
	if acknowledged < asked/2 || l.notes.Certain() == 0 {
		err = errors.Join(err, fmt.Errorf("of %d requests %d were acknowledged, %d notes left: nothing was tried", asked, acknowledged, l.notes.Certain()))
	}
	return errors.Join(err, l.history.Check(), l.notes.Check(found))
}

// client asks one thing after the other.
type client struct {
	load   *load
	number int
	notes  []string // its own that are there
}

func (c *client) act() {
	pace := time.NewTicker(40 * time.Millisecond) // steady, and below what a mover can follow on a busy machine
	defer pace.Stop()
	for {
		select {
		case <-c.load.stopped:
			return
		case <-pace.C:
		}
		cell := loadCells[rand.N(len(loadCells))]
		var err error
		switch n := rand.N(100); {
		case n < 40:
			err = c.read(cell)
		case n < 60:
			err = c.put(cell)
		case n < 85:
			err = c.change(cell)
		case n < 90:
			err = c.drop(cell)
		default:
			err = c.moveNote()
		}
		if err != nil && !c.load.tolerant && !errors.Is(err, backends.ErrCommitUnknown) {
			return
		}
	}
}

func (c *client) read(cell string) error {
	o := c.load.history.Begin(c.number, cell)
	return c.ask(o, false, func(tx backends.Tx) error {
		saw, err := see(tx, readCell, cell)
		o.Saw(saw)
		return err
	})
}

// put overwrites the cell, whatever it holds.
func (c *client) put(cell string) error {
	o := c.load.history.Begin(c.number, cell)
	value := loadValues.Add(1)
	o.Wrote(text(value))
	return c.noting(func(note func(backends.Tx) error) error {
		return c.ask(o, true, func(tx backends.Tx) error { return errors.Join(write(tx, cell, value), note(tx)) })
	})
}

// change reads the cell and overwrites what it read; one that is not there it leaves alone.
func (c *client) change(cell string) error {
	o := c.load.history.Begin(c.number, cell)
	value := loadValues.Add(1)
	return c.noting(func(note func(backends.Tx) error) error {
		return c.ask(o, true, func(tx backends.Tx) error {
			saw, err := see(tx, lockCell, cell)
			o.Saw(saw)
			o.Wrote(saw)
			if err != nil || saw == history.Absent {
				return errors.Join(err, note(tx))
			}
			o.Wrote(text(value))
			return errors.Join(write(tx, cell, value), note(tx))
		})
	})
}

// drop removes the cell; one that is not there has no twin of its own to remove.
func (c *client) drop(cell string) error {
	o := c.load.history.Begin(c.number, cell)
	o.Wrote(history.Absent)
	return c.ask(o, true, func(tx backends.Tx) error {
		var value int64
		err := tx.Get(&value, dropCell, cell)
		if errors.Is(err, sql.ErrNoRows) {
			o.Saw(history.Absent)
			return nil
		}
		if err != nil {
			return err
		}
		o.Saw(text(value))
		_, err = tx.Exec(dropTwin, cell)
		return err
	})
}

// ask runs one transaction at any instance and notes how it ended.
func (c *client) ask(o *history.Operation, writes bool, fn func(backends.Tx) error) error {
	began := time.Now()
	store := c.load.any()
	run := store.View
	if writes {
		run = store.Update
	}
	err := run(context.Background(), c.load.storefront, func(_ context.Context, tx backends.Tx) error { return fn(tx) })
	c.load.answered(store, time.Since(began), err)
	switch {
	case err == nil:
		o.Done()
	case errors.Is(err, backends.ErrCommitUnknown):
		o.Unknown()
	default:
		o.Refused()
	}
	return err
}

// see reads both rows of a cell. One that is not there has nothing that could be
// locked, so of that the first row alone speaks.
func see(tx backends.Tx, first *backends.Statement, cell string) (string, error) {
	var value int64
	err := tx.Get(&value, first, cell)
	if errors.Is(err, sql.ErrNoRows) {
		return history.Absent, nil
	}
	if err != nil {
		return "", err
	}
	var twin []byte
	err = tx.Get(&twin, readTwin, cell)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if string(twin) != text(value) {
		return fmt.Sprintf("%d with the twin %q", value, twin), nil
	}
	return text(value), nil
}

func write(tx backends.Tx, cell string, value int64) error {
	if _, err := tx.Exec(putCell, cell, value); err != nil {
		return err
	}
	_, err := tx.Exec(putTwin, cell, []byte(text(value)))
	return err
}

func text(value int64) string { return strconv.FormatInt(value, 10) }

// noting leaves a note in the transaction that ask runs.
func (c *client) noting(ask func(note func(backends.Tx) error) error) error {
	id := ids.New()
	c.load.notes.Adding(id)
	err := ask(func(tx backends.Tx) error {
		_, err := tx.Exec(addNote, id, []byte(id))
		return err
	})
	switch {
	case err == nil:
		c.load.notes.Added(id)
		c.notes = append(c.notes, id)
	case !errors.Is(err, backends.ErrCommitUnknown):
		c.load.notes.Refused(id)
	}
	return err
}

// moveNote removes a note of this client's and adds one that has its unique hash.
func (c *client) moveNote() error {
	if len(c.notes) == 0 {
		return nil
	}
	n := rand.N(len(c.notes))
	old, id := c.notes[n], ids.New()
	c.load.notes.Removing(old)
	c.load.notes.Adding(id)
	began := time.Now()
	store := c.load.any()
	err := store.Update(context.Background(), c.load.storefront, func(_ context.Context, tx backends.Tx) error {
		var hash []byte
		if err := tx.Get(&hash, dropNote, old); err != nil {
			return err
		}
		_, err := tx.Exec(addNote, id, hash)
		return err
	})
	c.load.answered(store, time.Since(began), err)
	switch {
	case err == nil:
		c.load.notes.Removed(old)
		c.load.notes.Added(id)
		c.notes[n] = id
	case errors.Is(err, backends.ErrCommitUnknown):
		c.notes = slices.Delete(c.notes, n, n+1)
	default:
		c.load.notes.Added(old)
		c.load.notes.Refused(id)
	}
	return err
}
