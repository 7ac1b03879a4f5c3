package planning_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
	"smartseller/platform/fault"
	"smartseller/platform/ids"
)

// onHosts registers backends whose files one host alone reaches: "near" this one, and "far"
// another, on which a storefront "far" is.
func (w *world) onHosts(t *testing.T) (here string, far backends.StorefrontID) {
	t.Helper()
	ctx := context.Background()
	here, err := os.Hostname()
	require.NoError(t, err)
	for name, host := range map[string]string{"near": here, "far": "another"} {
		require.NoError(t, w.directory.Register(ctx, backends.Config{Name: name, Kind: backends.SQLite, Path: t.TempDir(), Host: host}))
	}
	far = backends.StorefrontID(ids.New())
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error { // none can be founded from here
		if _, err := tx.Exec(`INSERT INTO storefronts (id, slug, name, currency, time_zone, status, settings, created_at, updated_at, version)
			VALUES ($1, 'far', '', 'EUR', 'UTC', 'active', '{}', 0, 0, 1)`, string(far)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO placements (storefront_id, backend, made_at_epoch, epoch, changed_at) VALUES ($1, 'far', 1, 1, 0)`, string(far))
		return err
	}))
	return here, far
}

// TestEachHostCountsItsOwn: the files of a host are counted by an instance there alone, beside
// the one that counts what all reach; where none is they wait, and nobody complains.
func TestEachHostCountsItsOwn(t *testing.T) { onBoth(t, eachHostCountsItsOwn) }

func eachHostCountsItsOwn(t *testing.T, w *world) {
	ctx := context.Background()
	here, far := w.onHosts(t)
	w.shopOn(t, "near", "near")
	w.shopOn(t, "one", "loose")
	var log bytes.Buffer
	counter := func(name, host string) *planning.Gatherer {
		g := planning.NewGatherer(w.db, w.router.Traffic(), w.directory, w.stores, slog.New(slog.NewTextHandler(&log, nil)))
		g.CountOn(name, host)
		return g
	}
	counted := func() (slugs []string) {
		for _, slug := range []string{"near", "loose", "late", "far"} {
			if s, err := w.service.StatisticsOf(ctx, slug); err == nil && s.CountedAt > 0 {
				slugs = append(slugs, slug)
			}
		}
		return slugs
	}
	stranger, home := counter("stranger", "a third"), counter("home", here)
	require.NoError(t, stranger.Count(ctx))
	require.Equal(t, []string{"loose"}, counted())
	require.NoError(t, home.Count(ctx))
	require.Equal(t, []string{"near", "loose"}, counted())
	w.shopOn(t, "one", "late")
	require.NoError(t, home.Count(ctx))
	require.NoError(t, counter("neighbour", here).Count(ctx))
	require.Equal(t, []string{"near", "loose"}, counted(), "that is the stranger's to count")
	stranger.Start()
	stranger.Stop(ctx) // which hands its lease back
	require.NoError(t, home.Count(ctx))
	require.Equal(t, []string{"near", "loose", "late"}, counted())
	require.Zero(t, w.triedAt(t, far))
	require.Empty(t, log.String())
}

// TestNoPlanBetweenTwoHosts is made, by a policy or by an operator: it could never begin.
func TestNoPlanBetweenTwoHosts(t *testing.T) { onBoth(t, noPlanBetweenTwoHosts) }

func noPlanBetweenTwoHosts(t *testing.T, w *world) {
	ctx := context.Background()
	here, _ := w.onHosts(t)
	w.shopOn(t, "near", "near")
	require.NoError(t, w.gatherer.Count(ctx))
	_, err := w.service.Create(ctx, planning.NewPlan{Moves: []planning.Wanted{{"far", "one"}, {"near", "far"}, {"near", "one"}}})
	apart := "the files of near are on host " + here + ", those of far on host another, and no server reaches both: move the storefront to a Postgres first"
	require.Equal(t, []fault.Field{{Pointer: "/moves/1/target", Code: "hosts_apart", Detail: apart}}, fault.Of(err).Fields)

	v, err := w.service.Propose(ctx, "rules: [{name: all, all: [bytes < 9], from: near, to: far}]")
	require.NoError(t, err)
	require.Empty(t, v.Proposals)
	require.Len(t, v.Unplaced, 1)
	require.Equal(t, apart, v.Unplaced[0].Reason)
	_, err = w.service.Create(ctx, planning.NewPlan{Policy: "rules: [{name: all, all: [bytes < 9], from: near, to: far}]"})
	require.ErrorIs(t, err, planning.ErrNothingToDo)
	p := w.plan(t, planning.NewPlan{Policy: "rules: [{name: all, all: [bytes < 9], from: near, to: [far, two]}]"})
	moves, err := w.service.PlanMoves(ctx, p.ID, "", 0, 10)
	require.NoError(t, err)
	require.Len(t, moves, 1)
	require.Equal(t, "two", moves[0].Target)
}
