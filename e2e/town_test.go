package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/e2e/load"
	"smartseller/modules/storefronts/shopify/sample"
)

// town is a storefront that lives: it was imported, and customers log in, read and write
// profiles, keep addresses and order all the time.
type town struct {
	*program
	t    *testing.T
	id   string
	load *load.Load
}

func (p *program) settle(t *testing.T, slug string, shop sample.Shop, workers, customers, rate int) *town {
	t.Helper()
	w := &town{program: p, t: t, id: p.create(t, slug, "files-1")}
	began := time.Now()
	brought := p.imports(t, slug, p.export(t, shop))
	t.Logf("%s: imported %d records in %s", slug, brought, time.Since(began).Round(time.Millisecond))
	w.load = p.crowd(t, slug, func(o *load.Options) { o.Workers, o.Customers, o.Rate = workers, customers, rate })
	w.load.Start(context.Background())
	return w
}

func (w *town) ask(move, what string) {
	w.t.Helper()
	require.Equal(w.t, http.StatusAccepted, w.admin(w.t, "POST", "moves/"+move+"/"+what, nil, nil), what)
}

// goes moves the town and holds both places against each other, at a moment in which
// nobody writes. undone: it comes back, with what was written at the new place.
func (w *town) goes(target string, undone bool) {
	w.t.Helper()
	began := time.Now()
	var left, made backends.Place
	w.inspect(w.t, func(a *audit) { left = a.at(w.id).Place })
	var started struct{ Move move }
	status := w.admin(w.t, "POST", "moves", map[string]any{"storefront_id": w.id, "target": target, "options": unpaced}, &started)
	require.Equal(w.t, http.StatusAccepted, status)
	id := started.Move.ID
	w.waitFor(w.t, id, "watching")
	reached(w.t, w.load, 20)
	w.load.Stop()
	w.inspect(w.t, func(a *audit) {
		made = a.at(w.id).Place
		require.Equal(w.t, target, made.Backend)
		a.requireInStep(w.id)
	})
	w.load.Start(context.Background())
	reached(w.t, w.load, 20)
	now, gone := made, left
	if undone {
		w.ask(id, "rollback")
		w.waitFor(w.t, id, "rolled_back")
		now, gone = left, made
	} else {
		w.ask(id, "finalize")
		w.waitFor(w.t, id, "completed")
	}
	w.inspect(w.t, func(a *audit) {
		require.Equal(w.t, now, a.at(w.id).Place)
		a.requireFree(a.at(w.id))
		a.requireGone(gone)
	})
	m, seen := w.move(w.t, id), w.load.Since(began)
	w.t.Logf("%s -> %s: %s in %s, write stall %s; %d requests, %d writes, %d failures, longest %s",
		left.Backend, target, m.Phase, time.Since(began).Round(time.Millisecond), time.Duration(m.Stats.StallMicros)*time.Microsecond,
		seen.Requests, seen.Writes, seen.Failures, seen.Longest().Round(time.Millisecond))
}

// TestTownsMove: a storefront of 20,000 customers and a small one go from file to shared
// to dedicated Postgres and back to a file, and one move is rolled back, under a steady
// load of both. No request fails, nothing acknowledged is missing, and the storefronts
// beside them stay what they were.
func TestTownsMove(t *testing.T) {
	t.Parallel()
	p := install(t, "SMARTSELLER_LOG_LEVEL=warn")
	p.addBackends(t)
	others := map[string]map[string]string{}
	for _, backend := range []string{"files-1", "files-2", "shared-1", "dedicated-1"} {
		id := p.create(t, "beside-"+backend, backend)
		p.crowd(t, "beside-"+backend, func(o *load.Options) { o.Workers, o.Customers = 1, 1 })
		p.inspect(t, func(a *audit) { others[id] = a.digests(a.at(id).Place) })
	}
	village := p.settle(t, "village", sample.Small, 1, 2, 10)
	city := p.settle(t, "city", sample.Shop{Seed: 20, Customers: 20_000, Products: 200, Orders: 10_000}, 3, 2, 30)

	village.goes("shared-1", false) // the city meets it there
	city.goes("shared-1", false)
	city.goes("dedicated-1", true)
	city.goes("dedicated-1", false)
	village.goes("dedicated-1", false)
	city.goes("files-2", false)
	village.goes("files-2", false)

	for _, w := range []*town{village, city} {
		w.load.Stop()
		require.NoError(t, w.load.Verify(context.Background()))
		require.Zero(t, w.load.Report().Failures)
		require.Zero(t, w.load.Report().Unanswered)
		for _, kind := range []load.Kind{load.Login, load.ReadProfile, load.AddAddress, load.PlaceOrder} {
			require.Positive(t, w.load.Report().Kinds[kind].Requests, "%s", kind)
		}
	}
	p.inspect(t, func(a *audit) {
		for id, was := range others {
			require.Equal(t, was, a.digests(a.at(id).Place), "another storefront has changed")
		}
	})
}
