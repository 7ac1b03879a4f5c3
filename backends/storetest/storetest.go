// Package storetest is the conformance suite: every backend passes it, so that a
// storefront can live anywhere and never notice.
package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/ids"
)

// Maker makes an empty backend of the kind under test for this catalog. It is
// called once per group of cases and cleans up after itself.
type Maker func(t testing.TB, catalog *backends.Catalog) Subject

// Subject is a backend under test, and the way to look at it from behind.
type Subject struct {
	Backend backends.Backend
	// OneWriter says that the engine lets one transaction write at a time.
	OneWriter bool
	// Unended counts the transactions on a place's database that nobody ended,
	// as the engine sees them.
	Unended func(t testing.TB, p backends.Place) int
}

// The suite uses three tables of the real schema: one with a unique key, one
// with every type and NULLs, and one that is nothing but a key and a number.
var (
	counters = &backends.Table{Name: "counters", Columns: []backends.Column{backends.T("id"), backends.I("value")}}
	tokens   = &backends.Table{
		Name: "one_time_tokens",
		Columns: []backends.Column{
			backends.T("id"), backends.T("customer_id"), backends.T("purpose"), backends.B("token_hash"), backends.T("email_key"),
			backends.I("created_at"), backends.I("expires_at"), backends.NI("used_at"),
		},
		Uniques: []backends.Unique{{Name: "one_time_tokens_hash", Columns: []string{"token_hash"}}},
	}
	idempotency = &backends.Table{Name: "idempotency_keys", Columns: []backends.Column{
		backends.T("id"), backends.T("fingerprint"), backends.T("result"), backends.I("created_at"), backends.I("expires_at"),
	}}
)

var (
	addCounter  = backends.Write(counters, `INSERT INTO counters (storefront_id, id, value) VALUES ($1, $2, $3)`)
	setCounter  = backends.Write(counters, `UPDATE counters SET value = $3 WHERE storefront_id = $1 AND id = $2`)
	casCounter  = backends.Write(counters, `UPDATE counters SET value = value + 1 WHERE storefront_id = $1 AND id = $2 AND value = $3`)
	bumpCounter = backends.Write(counters, `UPDATE counters SET value = value + 1 WHERE storefront_id = $1 AND id = $2 RETURNING value`)
	dropCounter = backends.Write(counters, `DELETE FROM counters WHERE storefront_id = $1 AND id = $2`)
	getCounter  = backends.Read(`SELECT value FROM counters WHERE storefront_id = $1 AND id = $2`)
	lockCounter = backends.Lock(`SELECT value FROM counters WHERE storefront_id = $1 AND id = $2`)
	allCounters = backends.Read(`SELECT id, value FROM counters WHERE storefront_id = $1 ORDER BY id`)
	addToken    = backends.Write(tokens, `INSERT INTO one_time_tokens (storefront_id, id, customer_id, purpose, token_hash, email_key, created_at, expires_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`)
	addResult = backends.Write(idempotency, `INSERT INTO idempotency_keys (storefront_id, id, fingerprint, result, created_at, expires_at) VALUES ($1, $2, '', $3, 0, 0)`)
	getResult = backends.Read(`SELECT result FROM idempotency_keys WHERE storefront_id = $1 AND id = $2`)
	getToken  = backends.Read(`SELECT purpose, token_hash, expires_at, used_at FROM one_time_tokens WHERE storefront_id = $1 AND id = $2`)
)

// Catalog is the suite's catalog.
func Catalog(t testing.TB) *backends.Catalog {
	t.Helper()
	c, err := backends.NewCatalog(counters, tokens, idempotency)
	require.NoError(t, err)
	return c
}

// Run runs the whole suite. What a case leaves behind must be invisible to, and
// safe from, another storefront of the same backend.
func Run(t *testing.T, maker Maker) {
	for name, group := range map[string]map[string]func(*testing.T, *home){
		"transactions": transactionCases,
		"get":          getCases,
		"endings":      endingCases,
		"isolation":    isolationCases,
		"fence":        fenceCases,
		"capture":      captureCases,
		"rows":         rowCases,
		"places":       placeCases,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			catalog := Catalog(t)
			h := home{Subject: maker(t, catalog), catalog: catalog}
			stranger := h.storefront(t)
			t.Run("cases", func(t *testing.T) { // ends when all parallel cases have
				for name, run := range group {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						h := h
						h.opened = nil
						run(t, &h)
						findsNothing(t, stranger, &h)
					})
				}
			})
		})
	}
}

// home is the backend under test, and what a case has opened on it.
type home struct {
	Subject
	catalog *backends.Catalog
	opened  []backends.Store
}

const epoch = 1

// place makes an empty, open-able place that nobody has founded.
func (h *home) place(t testing.TB) backends.Store {
	t.Helper()
	p := h.newPlace(epoch)
	require.NoError(t, h.Backend.Create(context.Background(), p))
	return h.open(t, p)
}

// newPlace names a place of a new storefront.
func (h *home) newPlace(epoch int64) backends.Place {
	return backends.Place{Backend: h.Backend.Name(), Storefront: backends.StorefrontID(ids.New()), Epoch: epoch}
}

func (h *home) open(t testing.TB, p backends.Place) backends.Store {
	t.Helper()
	s, err := h.Backend.Open(context.Background(), p)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	h.opened = append(h.opened, s)
	return s
}

// storefront makes a founded place.
func (h *home) storefront(t testing.TB) backends.Store {
	t.Helper()
	s := h.place(t)
	require.NoError(t, s.Found(context.Background(), epoch))
	return s
}

// token is a new move's.
func token() backends.Token { return backends.Token{Move: ids.New(), Gen: 1} }

func update(t testing.TB, s backends.Store, fn func(tx backends.Tx) error) {
	t.Helper()
	require.NoError(t, tryUpdate(s, fn))
}

func tryUpdate(s backends.Store, fn func(tx backends.Tx) error) error {
	return s.Update(context.Background(), epoch, func(_ context.Context, tx backends.Tx) error { return fn(tx) })
}

func view(s backends.Store, fn func(tx backends.Tx) error) error {
	return s.View(context.Background(), epoch, func(_ context.Context, tx backends.Tx) error { return fn(tx) })
}

func put(t testing.TB, s backends.Store, id string, value int64) {
	t.Helper()
	update(t, s, func(tx backends.Tx) error {
		_, err := tx.Exec(addCounter, id, value)
		return err
	})
}

func value(t testing.TB, s backends.Store, id string) (v int64) {
	t.Helper()
	require.NoError(t, view(s, func(tx backends.Tx) error { return tx.Get(&v, getCounter, id) }))
	return v
}

// change makes a transition that must work.
func change(t testing.TB, s backends.Store, k backends.Token, to backends.State, from ...backends.State) {
	t.Helper()
	require.NoError(t, s.Change(context.Background(), k, backends.Transition{From: from, To: to}))
}

func counterRow(id string, value int64) backends.Row { return backends.Row{id, value} }

func counterKey(id string) backends.Key { return backends.Key{Table: "counters", ID: id} }

// key makes ids whose order is their number's.
func key(n int) string { return fmt.Sprintf("%08d", n) }
