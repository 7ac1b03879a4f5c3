package sharedpostgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestTakeoverFromAMoverThatStandsStill in the midst of a COPY, with the fence's row locked:
// the server waits for it for ever.
func TestTakeoverFromAMoverThatStandsStill(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store, admin := place(t, config(t, false))
	still, err := admin.BeginTx(ctx, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = still.Rollback() })
	_, err = still.Exec(`SELECT 1 FROM fence WHERE storefront_id = $1 FOR SHARE`, string(store.Place().Storefront))
	require.NoError(t, err)
	copying, err := still.Prepare(`COPY counters (storefront_id, id, value) FROM STDIN`)
	require.NoError(t, err)
	defer copying.Close()
	require.NoError(t, store.Takeover(ctx, backends.Token{Move: "a move", Gen: 2}))
	require.Error(t, still.Commit())
}
