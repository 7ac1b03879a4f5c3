package sharedpostgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/ids"
)

// TestTheMoverTriesAgainWhenACommitHadNoAnswer: what it does can be repeated, so that a
// server that ends its process at COMMIT costs a moment and not a step of the move.
func TestTheMoverTriesAgainWhenACommitHadNoAnswer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store, admin := place(t, config(t, false))
	for _, text := range []string{
		`CREATE SEQUENCE commits`,
		`CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('commits') = 1 THEN
				PERFORM pg_terminate_backend(pg_backend_pid());
			END IF;
			RETURN NULL;
		END $$`,
		`CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON fence DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()`,
	} {
		_, err := admin.ExecContext(ctx, text)
		require.NoError(t, err)
	}
	require.NoError(t, store.Enlist(ctx, backends.Token{Move: ids.New(), Gen: 1}))
	var commits int
	require.NoError(t, admin.QueryRowContext(ctx, `SELECT last_value FROM commits`).Scan(&commits))
	require.Equal(t, 2, commits)
	f, err := store.Fence(ctx)
	require.NoError(t, err)
	require.True(t, f.Capture)
}
