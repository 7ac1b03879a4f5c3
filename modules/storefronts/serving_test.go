package storefronts

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlite"
	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/crypto"
)

// TestServesOnWithoutControlDatabase: what was seen stays known while the control
// database is away; what was not seen is an error, and not "no such storefront".
func TestServesOnWithoutControlDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := controltest.Open(t)
	keys, err := crypto.New(make([]byte, 32))
	require.NoError(t, err)
	catalog, err := backends.NewCatalog()
	require.NoError(t, err)
	directory := backends.NewDirectory(db, keys, catalog, map[backends.Kind]backends.Opener{backends.SQLite: sqlite.Opener(catalog)})
	stores := backends.NewStores(directory, 4)
	s := NewService(db, directory, stores)
	var now atomic.Int64 // seconds; a look-up may still be under way
	s.serving = newServing(func() time.Time { return time.Unix(now.Load(), 0) }, s.Find)
	require.NoError(t, s.AddBackend(ctx, backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()}))
	made, err := s.Create(ctx, NewStorefront{Slug: "toys", Name: "Toys", Currency: "EUR", TimeZone: "UTC", Backend: "files"})
	require.NoError(t, err)

	_, err = s.Serving(ctx, "nobody")
	require.ErrorIs(t, err, backends.ErrNoStorefront)
	_, err = s.Serving(ctx, string(made.ID))
	require.ErrorIs(t, err, backends.ErrNoStorefront, "an id is no slug")
	got, err := s.Serving(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, made.ID, got.ID)

	suspend := func(status string) {
		require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(`UPDATE storefronts SET status = $2 WHERE id = $1`, string(made.ID), status)
			return err
		}))
	}
	suspend("suspended")
	now.Add(int64(servingFresh / time.Second))
	got, err = s.Serving(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, "suspended", got.Status, "noticed after five seconds")
	suspend("active")
	now.Add(int64(servingFresh / time.Second))
	_, err = s.Serving(ctx, "toys")
	require.NoError(t, err)

	require.NoError(t, stores.Close())
	require.NoError(t, db.Close())
	now.Add(int64(time.Hour / time.Second))
	got, err = s.Serving(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, made.ID, got.ID)
	_, err = s.Serving(ctx, "nobody")
	require.Error(t, err)
	require.NotErrorIs(t, err, backends.ErrNoStorefront)
}

// held is a look-up that says that it has read, and answers when it is let go.
type held struct {
	read, let chan struct{}
	reads     atomic.Int64
}

// hold makes a service's first look-up wait, and counts them all.
func hold(s *Service) *held {
	h := &held{read: make(chan struct{}), let: make(chan struct{})}
	find := s.serving.find
	s.serving.find = func(ctx context.Context, ref string) (Storefront, error) {
		found, err := find(ctx, ref)
		if h.reads.Add(1) == 1 {
			close(h.read)
			<-h.let
		}
		return found, errors.Join(err, ctx.Err())
	}
	return h
}

// TestAskedOnceForAll who ask at the same time.
func TestAskedOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		s.serving = newServing(time.Now, func(context.Context, string) (Storefront, error) { return Storefront{Slug: "toys"}, nil })
		h := hold(s)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				found, err := s.Serving(context.Background(), "toys")
				if err != nil || found.Slug != "toys" {
					t.Error(found, err)
				}
			})
		}
		synctest.Wait() // all are there
		close(h.let)
		wg.Wait()
		require.EqualValues(t, 1, h.reads.Load())
	})
}

// TestLookUpOutlivesWhoBegan it: whoever joined is answered.
func TestLookUpOutlivesWhoBegan(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.create("toys")
	h := hold(f.Service)
	ctx, leave := context.WithCancel(context.Background())
	began := make(chan error, 1)
	go func() {
		_, err := f.Serving(ctx, "toys")
		began <- err
	}()
	<-h.read
	leave()
	require.ErrorIs(t, <-began, context.Canceled)
	joined := f.serving.asked.DoChan("toys", func() (any, error) { panic("the look-up is under way") })
	close(h.let)
	answer := <-joined
	require.NoError(t, answer.Err)
	found, err := f.Serving(context.Background(), "toys")
	require.NoError(t, err)
	require.Equal(t, answer.Val, found)
	require.EqualValues(t, 1, h.reads.Load())
}

// TestCreatedIsThere for whoever asks then, although a look-up from before is still under
// way, and is not forgotten again when that ends.
func TestCreatedIsThere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFleet(t)
	now := time.Unix(0, 0)
	f.serving.clock = func() time.Time { return now }
	h := hold(f.Service)
	before := make(chan error, 1)
	go func() {
		_, err := f.Serving(ctx, "toys")
		before <- err
	}()
	<-h.read
	made := f.create("toys")
	found, err := f.Serving(ctx, "toys")
	require.NoError(t, err)
	require.Equal(t, made.ID, found.ID)
	close(h.let)
	require.ErrorIs(t, <-before, backends.ErrNoStorefront)
	_, _, known := f.serving.get("toys")
	require.True(t, known)
	require.False(t, f.serving.isAbsent("toys"))

	for i, created := range []bool{false, false, true} {
		if created {
			f.create("books")
		}
		reads := h.reads.Load()
		_, err := f.Serving(ctx, "books")
		require.Equal(t, created, err == nil)
		require.Equal(t, i != 1, h.reads.Load() > reads, "remembered once, until it is created")
	}
	_, err = f.Serving(ctx, "games")
	require.ErrorIs(t, err, backends.ErrNoStorefront)
	reads := h.reads.Load()
	now = now.Add(absentFresh)
	_, err = f.Serving(ctx, "games")
	require.ErrorIs(t, err, backends.ErrNoStorefront)
	require.Equal(t, reads+1, h.reads.Load(), "another instance may have created it")
	_, err = f.Serving(ctx, "No Such--Slug")
	require.ErrorIs(t, err, backends.ErrNoStorefront)
	require.Equal(t, reads+1, h.reads.Load(), "nothing can be there")
}

// TestNoAnswerIsNotAwaitedAgain by every request: what is known serves on.
func TestNoAnswerIsNotAwaitedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		var silent atomic.Bool
		var asked atomic.Int64
		s := &Service{}
		s.serving = newServing(time.Now, func(ctx context.Context, slug string) (Storefront, error) {
			asked.Add(1)
			if silent.Load() {
				<-ctx.Done()
				return Storefront{}, ctx.Err()
			}
			return Storefront{Slug: slug}, nil
		})
		_, err := s.Serving(ctx, "toys")
		require.NoError(t, err)
		silent.Store(true)
		time.Sleep(servingFresh) // of the bubble's clock
		for range 3 {
			_, err = s.Serving(ctx, "toys")
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, asked.Load())
		time.Sleep(lookUpWithin + askAgain)
		_, err = s.Serving(ctx, "toys")
		require.NoError(t, err)
		require.EqualValues(t, 3, asked.Load())
		_, err = s.Serving(ctx, "books")
		require.ErrorIs(t, err, control.ErrAway)
	})
}

// TestKnownIsServedWhileControlIsSilent: nobody waits for the answer, and a newer one is
// taken up when it comes.
func TestKnownIsServedWhileControlIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		answers := make(chan Storefront)
		s.serving = newServing(time.Now, func(context.Context, string) (Storefront, error) { return <-answers, nil })
		go func() { answers <- Storefront{Slug: "toys"} }()
		_, err := s.Serving(t.Context(), "toys")
		require.NoError(t, err)
		time.Sleep(servingFresh)
		for range 3 {
			found, err := s.Serving(t.Context(), "toys")
			require.NoError(t, err)
			require.Equal(t, "toys", found.Slug)
			time.Sleep(askAgain)
		}
		answers <- Storefront{Slug: "toys", Status: "suspended"}
		synctest.Wait()
		found, err := s.Serving(t.Context(), "toys")
		require.NoError(t, err)
		require.Equal(t, "suspended", found.Status)
	})
}
