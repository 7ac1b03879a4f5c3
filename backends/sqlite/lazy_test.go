package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/platform/database"
)

// TestOnlyFillsAreLazy: the writer's next transaction waits for the disk again, however
// the one that did not has ended.
func TestOnlyFillsAreLazy(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "1.db")
	db, err := database.OpenSQLite(ctx, path, database.SQLiteOptions{Create: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	file, err := identify(path)
	require.NoError(t, err)
	d := &dialect{db: db, file: file}
	const normal, full = 1, 2
	for _, mode := range []sqlstore.Mode{sqlstore.Change, sqlstore.Fill, sqlstore.Exclusive, sqlstore.Fill, sqlstore.Change} {
		for _, end := range []func(*sqlstore.Session) error{(*sqlstore.Session).Commit, (*sqlstore.Session).Rollback} {
			s, err := d.Begin(ctx, "", mode, time.Second)
			require.NoError(t, err)
			var level int
			require.NoError(t, s.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level))
			require.Equal(t, map[bool]int{true: normal, false: full}[mode == sqlstore.Fill], level)
			require.NoError(t, end(s))
			s.Release(nil)
		}
	}
	s, err := d.Begin(ctx, "", sqlstore.Fill, time.Second)
	require.NoError(t, err)
	require.NoError(t, s.Rollback())
	s.Release(backends.ErrUnreachable)
	s, err = d.Begin(ctx, "", sqlstore.Change, time.Second)
	require.NoError(t, err)
	defer s.Release(nil)
	var level int
	require.NoError(t, s.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level))
	require.Equal(t, full, level)
	require.NoError(t, s.Rollback())
}
