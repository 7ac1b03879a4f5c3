package imports_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/storefronts/imports"
	"smartseller/modules/storefronts/shopify/sample"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// flaky is a store whose first writes go wrong, before or after they have happened.
type flaky struct {
	backends.TenantStore
	errs []error
	n    atomic.Int64
}

func (f *flaky) Update(ctx context.Context, shop backends.StorefrontID, fn func(context.Context, backends.Tx) error) error {
	n := int(f.n.Add(1)) - 1
	if n >= len(f.errs) || f.errs[n] == nil {
		return f.TenantStore.Update(ctx, shop, fn)
	}
	if errors.Is(f.errs[n], backends.ErrCommitUnknown) {
		if err := f.TenantStore.Update(ctx, shop, fn); err != nil {
			return err
		}
	}
	return f.errs[n]
}

// TestPassingTroubles are waited out: a cutover, an unknown outcome, somebody who takes
// a number meanwhile.
func TestPassingTroubles(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	shop, want := h.shop(t, "toys", sample.Currency), sampleExpected(t)
	h.start(t, &flaky{TenantStore: h.router, errs: []error{
		backends.ErrBusy, nil, backends.ErrCommitUnknown, nil, &backends.UniqueError{Table: "customers", Key: "customers_email"}, nil, backends.ErrCommitUnknown,
	}})
	ended := h.run(t, "toys", sampleFiles(t)...)
	require.Equal(t, imports.Completed, ended.State, "%+v", ended.Failure)
	h.requireHeld(t, h.rows(t, shop), want)
}

func TestLastingTrouble(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.shop(t, "toys", sample.Currency)
	h.start(t, &flaky{TenantStore: h.router, errs: []error{nil, nil, errors.New("SELECT secret FROM somewhere")}})
	ended := h.run(t, "toys", sampleFiles(t)...)
	require.Equal(t, imports.Failed, ended.State)
	require.Equal(t, 500, ended.Failure.Status)
	require.NotContains(t, ended.Failure.Detail, "secret")
	require.Contains(t, ended.Failure.Detail, "stays")
	require.Positive(t, ended.Files[0].Imported)
}

// TestFullDisk: neither the storefront's database nor the control database takes any
// more. Who asks learns why the import failed all the same, and once there is room that
// is kept.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.shop(t, "toys", sample.Currency)
	alter := func(text string) {
		require.NoError(t, h.db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(text)
			return err
		}))
	}
	alter(`CREATE TRIGGER full BEFORE UPDATE ON imports WHEN NEW.state = 'failed' BEGIN SELECT RAISE(FAIL, 'no room'); END`)
	full := *backends.ErrNoRoom
	full.Kind = fault.Conflict // which is not waited out
	h.start(t, &flaky{TenantStore: h.router, errs: []error{nil, nil, &full}})
	ended := h.run(t, "toys", sampleFiles(t)...)
	require.Equal(t, imports.Failed, ended.State)
	require.Equal(t, "storefront_full", ended.Failure.Code)
	require.Contains(t, ended.Failure.Detail, "needs room")
	require.Equal(t, imports.Failed, h.last(t, "toys").State)

	alter(`DROP TRIGGER full`)
	require.Eventually(t, func() bool {
		var kept string
		require.NoError(t, h.db.View(context.Background(), func(_ context.Context, tx control.Tx) error {
			return tx.Get(&kept, `SELECT state FROM imports WHERE id = $1`, ended.ID)
		}))
		return kept == "failed"
	}, patience, glance)
	require.Equal(t, imports.Completed, h.run(t, "toys", sampleFiles(t)...).State)
}

// panicking is a store that meets a mistake of ours.
type panicking struct{ backends.TenantStore }

func (panicking) Update(context.Context, backends.StorefrontID, func(context.Context, backends.Tx) error) error {
	panic("a mistake")
}

// TestPanic: a mistake of ours ends the import, not the server, and holds up nothing.
func TestPanic(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.shop(t, "toys", sample.Currency)
	h.start(t, panicking{h.router})
	ended := h.run(t, "toys", sampleFiles(t)...)
	require.Equal(t, imports.Failed, ended.State)
	require.Equal(t, "internal", ended.Failure.Code)
	_, err := h.Begin(context.Background(), "toys", imports.Shopify, "", func() (imports.Kind, string, io.Reader, error) { panic("another") })
	require.ErrorContains(t, err, "another")
	require.Equal(t, imports.Failed, h.last(t, "toys").State)
	h.Stop() // returns: no import is under way
}

// standing is a store that lets so many writes through and then stands still.
type standing struct {
	backends.TenantStore
	left    atomic.Int64
	reached chan struct{}
}

func (s *standing) Update(ctx context.Context, shop backends.StorefrontID, fn func(context.Context, backends.Tx) error) error {
	if s.left.Add(-1) < 0 {
		close(s.reached)
		<-ctx.Done()
		return ctx.Err()
	}
	return s.TenantStore.Update(ctx, shop, fn)
}

// beginAndStand begins an import in a process of its own, which stands still after so
// many writes.
func (h *home) beginAndStand(t *testing.T, slug string, writes int64) (id string) {
	t.Helper()
	s := &standing{TenantStore: h.router, reached: make(chan struct{})}
	s.left.Store(writes)
	h.start(t, s)
	begun, err := h.Begin(context.Background(), slug, imports.Shopify, "", source(sampleFiles(t)...))
	require.NoError(t, err)
	<-s.reached
	return begun.ID
}

// TestInterrupted: a server that stops leaves an import that says so; a rerun completes it.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	shop, want := h.shop(t, "toys", sample.Currency), sampleExpected(t)
	ctx := context.Background()
	stopped := h.beginAndStand(t, "toys", 2)
	h.Stop()
	ended, err := h.Get(ctx, "toys", stopped)
	require.NoError(t, err)
	require.Equal(t, imports.Interrupted, ended.State)
	require.Contains(t, ended.Failure.Detail, "Import the same files again")
	require.EqualValues(t, 256, ended.Files[0].Imported+ended.Files[0].Skipped)

	h.start(t, h.router)
	again := h.run(t, "toys", sampleFiles(t)...)
	require.Equal(t, imports.Completed, again.State)
	require.Positive(t, again.Files[0].Unchanged)
	h.requireHeld(t, h.rows(t, shop), want)
}

// TestStartBesideAnImport: a process that starts clears away what a killed one has left,
// and leaves alone what another runs.
func TestStartBesideAnImport(t *testing.T) {
	t.Parallel()
	everywhere(t, startBesideAnImport)
}

func startBesideAnImport(t *testing.T, h *home) {
	t.Helper()
	h.shop(t, "toys", sample.Currency)
	running := h.beginAndStand(t, "toys", 4)
	abandoned := filepath.Join(h.folder, "import-1.spool")
	require.NoError(t, os.WriteFile(abandoned, nil, 0o600))
	h.start(t, h.router)
	require.NoFileExists(t, abandoned)
	found, err := h.Get(context.Background(), "toys", running)
	require.NoError(t, err)
	require.Nil(t, found.EndedAt)
	_, err = h.Begin(context.Background(), "toys", imports.Shopify, "", source(sampleFiles(t)...))
	require.ErrorIs(t, err, imports.ErrOpen)
}

// TestLeaseRunsOut: an import whose process is not heard of counts as interrupted, and
// does not keep another one from beginning.
func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	shop := h.shop(t, "toys", sample.Currency)
	require.NoError(t, h.db.Update(context.Background(), func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`INSERT INTO imports (id, storefront_id, format, state, files, failure, requested_by, lease_until, created_at, updated_at)
			VALUES ('lost', $1, 'shopify', 'writing', '[]', 'null', '', $2, 1, 1)`, string(shop), tx.Now()-1)
		return err
	}))
	require.Equal(t, imports.Interrupted, h.last(t, "toys").State)
	require.Equal(t, imports.Completed, h.run(t, "toys", sampleFiles(t)...).State)
	found, err := h.Get(context.Background(), "toys", "lost")
	require.NoError(t, err)
	require.Equal(t, imports.Interrupted, found.State)
}

// TestManyOmissions: all are counted, and as many listed as leave the control database room.
func TestManyOmissions(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.shop(t, "toys", "EUR")
	const without = imports.MaxListed + 300
	var rows strings.Builder
	for n := range without {
		fmt.Fprintf(&rows, "%d,,Ada,Lovelace\n", n+1)
	}
	ended := h.run(t, "toys", text(imports.Customers, "Customer ID,Email,First Name,Last Name\n"+rows.String()))
	require.Equal(t, imports.Completed, ended.State)
	require.EqualValues(t, without, ended.Files[0].Skipped)
	require.Equal(t, map[string]int64{"no_email": without}, ended.Files[0].Omissions)
	last, err := h.Omissions(context.Background(), "toys", ended.ID, imports.MaxListed-1, 10)
	require.NoError(t, err)
	require.Equal(t, []imports.Omission{{Seq: imports.MaxListed, File: "customers.csv", Line: imports.MaxListed + 1, Code: "no_email"}}, last)
}

// TestOldImportsAreForgotten with all that is told of them, wherever another one begins.
func TestOldImportsAreForgotten(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, h *home) {
		h.shop(t, "toys", "EUR")
		h.shop(t, "other", "EUR")
		ctx := context.Background()
		rows := "Customer ID,Email,First Name,Last Name\n" + strings.Repeat("1,,Ada,Lovelace\n", 1001) // more than go at once
		old, recent := h.run(t, "toys", text(imports.Customers, rows)), h.run(t, "toys", text(imports.Customers, rows))
		elsewhere := h.run(t, "other", text(imports.Customers, rows))
		require.NoError(t, h.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(`UPDATE imports SET ended_at = ended_at - $1 WHERE id IN ($2, $3)`, (91 * 24 * time.Hour).Microseconds(), old.ID, elsewhere.ID)
			return err
		}))
		last := h.run(t, "toys", text(imports.Customers, rows))
		_, err := h.Get(ctx, "toys", old.ID)
		require.ErrorIs(t, err, imports.ErrNoImport)
		_, err = h.Get(ctx, "other", elsewhere.ID)
		require.ErrorIs(t, err, imports.ErrNoImport)
		var left []string
		require.NoError(t, h.db.View(ctx, func(_ context.Context, tx control.Tx) error {
			return tx.Select(&left, `SELECT DISTINCT import_id FROM import_omissions ORDER BY import_id`)
		}))
		require.Equal(t, []string{recent.ID, last.ID}, left)
	})
}
