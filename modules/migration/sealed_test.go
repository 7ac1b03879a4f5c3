package migration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/ids"
)

// TestSealEndsWithoutTheTarget: while writes wait, another process takes the target's
// file. They go on long before that process does.
func TestSealEndsWithoutTheTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var id backends.StorefrontID
	var letGo func()
	var once sync.Once
	sealed := make(chan struct{})
	var i *instance
	i = w.instance(t, func(ctx context.Context, point string) error {
		if point == "K8" {
			return i.router.Update(ctx, id, func(_ context.Context, tx backends.Tx) error {
				_, err := tx.Exec(addCounter, ids.New(), 1) // which is left to be brought over under seal
				return err
			})
		}
		if point == "K10" {
			once.Do(func() {
				_, letGo = holder(t, w.file("two", id, "2"))
				close(sealed)
			})
		}
		return nil
	})
	id = i.storefront(t, 50)
	m := start(t, i, id, Options{})
	happens(t, sealed, "a seal")
	put(t, i, id, "nobody waits for the target")
	letGo()
	i.waitFor(t, m.ID, Watching)
}

// TestCancelOpensTheStorefrontFirst: the owner died under seal, somebody asked for a
// cancel, and the target does not answer.
func TestCancelOpensTheStorefrontFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := make(chan struct{})
	var once sync.Once
	first := w.instance(t, func(_ context.Context, point string) error {
		if point == "K10" {
			once.Do(func() { close(dead) })
			return errCrash
		}
		return nil
	})
	id := first.storefront(t, 50)
	m := start(t, first, id, Options{})
	happens(t, dead, "a death under seal")
	first.runner.Stop()
	t.Cleanup(first.runner.Start) // so that stopping twice is no panic
	ask(t, first, m.ID, WantCancel)
	_, letGo := holder(t, w.file("two", id, "2"))
	second := w.instance(t, nil)
	put(t, second, id, "nobody waits for the target")
	letGo()
	second.waitFor(t, m.ID, Cancelled)
}

// flaky is a store whose first and third chunk meet a lost connection.
type flaky struct {
	backends.Store
	loads *atomic.Int64
}

func (s flaky) Load(ctx context.Context, token backends.Token, page *backends.Page, p backends.Progress) error {
	if page.Len() > 0 {
		if n := s.loads.Add(1); n == 1 || n == 3 {
			return fmt.Errorf("chunk %d: %w", n, backends.ErrUnreachable)
		}
	}
	return s.Store.Load(ctx, token, page, p)
}

// TestTroublesFarApart are not one long one: between them the copy came on.
func TestTroublesFarApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var loads atomic.Int64
	w.wrap = func(s backends.Store) backends.Store { return flaky{s, &loads} }
	i := w.instance(t, nil)
	i.runner.tolerance = 100 * time.Millisecond // less than between two tries
	id := i.storefront(t, 5000)
	m := start(t, i, id, Options{})
	i.waitFor(t, m.ID, Watching)
	require.Greater(t, loads.Load(), int64(3))
}

// forgetful is a store that has no connection when it first enlists a move.
type forgetful struct {
	backends.Store
	asked *atomic.Bool
}

func (s forgetful) Enlist(ctx context.Context, token backends.Token) error {
	if s.asked.CompareAndSwap(false, true) {
		return fmt.Errorf("enlist: %w", backends.ErrUnreachable)
	}
	return s.Store.Enlist(ctx, token)
}

// TestConnectionLostAtTheStart is no reason to give a move up.
func TestConnectionLostAtTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked atomic.Bool
	w.wrap = func(s backends.Store) backends.Store { return forgetful{s, &asked} }
	i := w.instance(t, nil)
	m := start(t, i, i.storefront(t, 50), Options{})
	i.waitFor(t, m.ID, Watching)
	require.True(t, asked.Load())
}
