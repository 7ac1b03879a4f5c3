package sharedpostgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestTakeoverFromAMoverThatStandsStill in the midst of a COPY, with the fence's row locked:
// the server waits for it for ever. What somebody else copies is left alone.
func TestTakeoverFromAMoverThatStandsStill(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store, admin := place(t, config(t, false))
	other, err := admin.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = other.Exec(`CREATE TEMPORARY TABLE somebodys (id TEXT)`)
	require.NoError(t, err)
	theirs, err := other.Prepare(`COPY somebodys (id) FROM STDIN`)
	require.NoError(t, err)
	defer theirs.Close()
	still, err := admin.BeginTx(ctx, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = still.Rollback() })
	_, err = still.Exec(`SELECT 1 FROM fence WHERE storefront_id = $1 FOR SHARE`, string(store.Place().Storefront))
	require.NoError(t, err)
	copying, err := still.Prepare(`COPY counters (storefront_id, id, value) FROM STDIN /* a page of a move */`)
	require.NoError(t, err)
	defer copying.Close()
	require.NoError(t, store.Takeover(ctx, backends.Token{Move: "a move", Gen: 2}))
	_, err = copying.Exec() // which would end it; the driver allows nothing else within a COPY
	require.Error(t, err)
	_, err = theirs.Exec() // which ends it
	require.NoError(t, err)
	require.NoError(t, other.Commit())
}
