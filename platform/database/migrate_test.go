package database

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// TestALockOfOneThatStandsStill is ended by the server; that of one that works is not, for as
// long as it works.
func TestALockOfOneThatStandsStill(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second // many times what a busy machine is late
	for name, c := range map[string]struct {
		beat time.Duration
		kept bool
	}{"it works": {idle / 10, true}, "it stands still": {time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			db, err := sql.Open("postgres", pgtest.Database(t))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			got := make(chan error, 1)
			err = locked(ctx, db, idle, c.beat, func() error {
				go func() { got <- locked(ctx, db, idle, idle/10, func() error { return nil }) }()
				select {
				case err := <-got:
					require.False(t, c.kept, "another one got in")
					return err
				case <-time.After(3 * idle):
					require.True(t, c.kept, "nobody gets in")
					return nil
				}
			})
			require.NoError(t, err)
			if c.kept {
				require.NoError(t, <-got)
			}
		})
	}
}
