package sharedpostgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestForgottenTransaction: of a process that stands still in the midst of one, the server
// lets go by itself, and the storefront can be sealed. If the process goes on, it is told that
// nothing was changed.
func TestForgottenTransaction(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]backends.Config{"directly": config(t, false), "through a pooler": pooledConfig(t, 4)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			store, _ := place(t, cfg)
			begun, goOn, ended := make(chan struct{}, 10), make(chan struct{}), make(chan error)
			go func() {
				ended <- store.Update(ctx, 1, func(_ context.Context, tx backends.Tx) error {
					var v int64
					err := tx.Get(&v, bump, "a")
					begun <- struct{}{}
					<-goOn
					return errors.Join(err, tx.Get(&v, get, "a"))
				})
			}()
			<-begun
			move := backends.Token{Move: "a move", Gen: 1}
			require.NoError(t, store.Enlist(ctx, move))
			seal := backends.Transition{From: []backends.State{backends.Active}, To: backends.Sealed, Exclusive: 50 * time.Millisecond, Capture: true}
			require.ErrorIs(t, store.Change(ctx, move, seal), backends.ErrLockBusy)
			eventually(t, func() bool {
				err := store.Change(ctx, move, seal)
				require.True(t, err == nil || errors.Is(err, backends.ErrLockBusy), err)
				return err == nil
			})
			close(goOn)
			require.ErrorIs(t, <-ended, backends.ErrUnreachable)
			var v int64
			require.NoError(t, store.Get(ctx, 1, &v, get, "a"))
			require.Zero(t, v)
		})
	}
}
