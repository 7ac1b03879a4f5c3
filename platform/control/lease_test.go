package control_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
)

// TestALeaseIsOneInstances: renewed by its holder, refused to others until it has run
// out or was handed back; who lost it is told so in its own transaction.
func TestALeaseIsOneInstances(t *testing.T) {
	onEachEngine(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		db := open(t, dsn)
		one, two := control.NewLease(db, "work", "one", time.Hour), control.NewLease(db, "work", "two", time.Hour)
		holds := func(l *control.Lease) (held bool) {
			require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) (err error) {
				held, err = l.Held(tx)
				return err
			}))
			return held
		}
		taken := func(l *control.Lease) (taken bool) {
			require.NoError(t, db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
				taken, err = l.Taken(tx)
				return err
			}))
			return taken
		}
		take := func(l *control.Lease) bool {
			held, err := l.Hold(ctx)
			require.NoError(t, err)
			return held
		}
		require.False(t, holds(one), "nobody took it yet")
		require.False(t, taken(one))
		require.True(t, take(one))
		require.True(t, take(one))
		require.False(t, take(two))
		require.Equal(t, []bool{true, false}, []bool{holds(one), holds(two)})
		require.True(t, taken(two), "by another one")
		require.NoError(t, two.Release(ctx), "it is not its to give")
		require.False(t, take(two))
		require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(`UPDATE leases SET until = $1`, tx.Now()-1)
			return err
		}))
		require.False(t, holds(one), "it has run out")
		require.False(t, taken(one))
		require.True(t, take(two))
		require.False(t, take(one))
		require.NoError(t, two.Release(ctx))
		require.True(t, take(one))
	})
}
