package planning_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/modules/migration/planning"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
)

// slow is a backend that gives one storefront's rows to nobody before he gives up.
type slow struct {
	backends.Backend
	storefront *backends.StorefrontID
}

func (b slow) Open(ctx context.Context, p backends.Place) (backends.Store, error) {
	s, err := b.Backend.Open(ctx, p)
	if err != nil || p.Storefront != *b.storefront {
		return s, err
	}
	return &slowStore{s}, nil
}

type slowStore struct{ backends.Store }

func (s *slowStore) Read(ctx context.Context, _ func(backends.Reader) error) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestOneThatCannotBeCountedInTime stops no other one's counting, and has its turn again.
func TestOneThatCannotBeCountedInTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var stuck backends.StorefrontID
	w := newWorldOf(t, controltest.Open(t), func(catalog *backends.Catalog) backends.Opener {
		return func(cfg backends.Config) (backends.Backend, error) {
			b, err := sqlite.Opener(catalog)(cfg)
			return slow{b, &stuck}, err
		}
	})
	first, second := w.shop(t, "first"), w.shop(t, "second") // in the order in which they are counted
	w.write(t, first, addCounter, "a")
	w.write(t, second, addCounter, "a", "b")
	at, err := w.directory.Placement(ctx, first)
	require.NoError(t, err)
	w.stores.Drop(at.Place) // it was opened before
	stuck = first
	var log bytes.Buffer
	g := planning.NewGatherer(w.db, w.router.Traffic(), w.directory, w.stores, slog.New(slog.NewTextHandler(&log, nil)))
	g.CountWithin(100 * time.Millisecond)
	require.NoError(t, g.Count(ctx))
	require.Contains(t, log.String(), "storefront="+string(first))
	require.NotContains(t, log.String(), "storefront="+string(second))
	require.Zero(t, w.statistics(t, "first").CountedAt)
	require.NotZero(t, w.statistics(t, "second").CountedAt)

	stuck = ""
	w.stores.Drop(at.Place)
	require.NoError(t, g.Count(ctx))
	require.Zero(t, w.statistics(t, "first").CountedAt, "its turn comes later")
	require.NoError(t, w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE storefront_activity SET tried_at = tried_at - $1`, time.Hour.Microseconds()) // it is later
		return err
	}))
	require.NoError(t, g.Count(ctx))
	require.NotZero(t, w.statistics(t, "first").CountedAt)
}

// prying is a backend that calls a function behind each reading of its rows, which may fail it.
type prying struct {
	backends.Backend
	behind *func() error
}

func (b prying) Open(ctx context.Context, p backends.Place) (backends.Store, error) {
	s, err := b.Backend.Open(ctx, p)
	return &pryingStore{s, b.behind}, err
}

type pryingStore struct {
	backends.Store
	behind *func() error
}

func (s *pryingStore) Read(ctx context.Context, fn func(backends.Reader) error) error {
	return errors.Join(s.Store.Read(ctx, fn), (*s.behind)())
}

// pryingWorld calls a function behind each reading of any rows.
func pryingWorld(t *testing.T, behind *func() error) *world {
	t.Helper()
	return newWorldOf(t, controltest.Open(t), func(catalog *backends.Catalog) backends.Opener {
		return func(cfg backends.Config) (backends.Backend, error) {
			b, err := sqlite.Opener(catalog)(cfg)
			return prying{b, behind}, err
		}
	})
}

func nothing() error { return nil }

// TestWhatIsReportedWhileItIsCounted comes on top of what was counted.
func TestWhatIsReportedWhileItIsCounted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	behind := nothing
	w := pryingWorld(t, &behind)
	id := w.shop(t, "toys")
	w.write(t, id, addCounter, "a")
	require.NoError(t, w.gatherer.Report(ctx))
	rows := int64(1)
	behind = func() error {
		w.write(t, id, addCounter, fmt.Sprint("while ", rows))
		rows++
		return w.gatherer.Report(ctx)
	}
	require.NoError(t, w.gatherer.Count(ctx))
	behind = nothing
	require.Greater(t, rows, int64(1))
	s := w.statistics(t, "toys")
	require.NotZero(t, s.CountedAt)
	require.Equal(t, rows, s.Rows("counters"))
}

// TestWhoLostTheLeaseSaysNothing of what it was counting, whether it could or not: that is the
// other instance's to say.
func TestWhoLostTheLeaseSaysNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	behind := nothing
	w := pryingWorld(t, &behind)
	id := w.shop(t, "toys")
	w.write(t, id, addCounter, "a")
	var log bytes.Buffer
	g := planning.NewGatherer(w.db, w.router.Traffic(), w.directory, w.stores, slog.New(slog.NewTextHandler(&log, nil)))
	lease := func(text string) error {
		return w.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(text)
			return err
		})
	}
	for _, outcome := range []error{nil, errors.New("it broke")} {
		behind = func() error {
			return errors.Join(outcome, lease(`UPDATE leases SET holder = 'another', until = until + 60000000 WHERE name = 'statistics'`))
		}
		require.NoError(t, g.Count(ctx))
		require.Zero(t, w.statistics(t, "toys").CountedAt)
		require.Zero(t, w.triedAt(t, id))
		require.NoError(t, g.Count(ctx), "nor is anything counted while the other one has it")
		require.Empty(t, log.String())
		require.NoError(t, lease(`UPDATE leases SET until = 0`))
	}
	behind = func() error { return errors.New("it broke") }
	require.NoError(t, g.Count(ctx))
	require.NotZero(t, w.triedAt(t, id), "with the lease it is said")
	require.Contains(t, log.String(), "it broke")
}

// triedAt is when a storefront could not be counted last.
func (w *world) triedAt(t *testing.T, id backends.StorefrontID) (at int64) {
	t.Helper()
	require.NoError(t, w.db.View(context.Background(), func(_ context.Context, tx control.Tx) error {
		return tx.Get(&at, `SELECT COALESCE(max(tried_at), 0) FROM storefront_activity WHERE storefront_id = $1`, string(id))
	}))
	return at
}
