package migration

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/database"
)

// TestChunksThatTheTargetForgot are copied again: their commits do not wait for the disk,
// and a server that dies and is back at once may be noticed by nobody.
func TestChunksThatTheTargetForgot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		point string
		done  int // the table is
	}{"in the middle": {"K4", 0}, "at the end": {"loaded", 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var id backends.StorefrontID
			var forgotten atomic.Int64
			i := w.instance(t, func(ctx context.Context, point string) error {
				if point != c.point || forgotten.Load() > 0 {
					return nil
				}
				n, err := forget(ctx, w.file("two", id, "2"), c.done)
				forgotten.Add(n)
				return err
			})
			id = i.storefront(t, 3000)
			m := start(t, i, id, Options{})
			m = i.waitFor(t, m.ID, Watching)
			require.Positive(t, forgotten.Load())
			require.Equal(t, int64(3000), m.Stats.Rows["counters"])
			ask(t, i, m.ID, WantRollback)
			i.waitFor(t, m.ID, RolledBack)
		})
	}
}

// forget undoes the copy of counters in a file, as if it had never come to the disk, and
// says how many rows that were.
func forget(ctx context.Context, path string, done int) (int64, error) {
	db, err := database.OpenSQLite(ctx, path, database.SQLiteOptions{})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	gone, err := db.Writer.ExecContext(ctx, `DELETE FROM counters WHERE EXISTS (SELECT 1 FROM move_progress WHERE id = 'counters' AND done = ?)`, done)
	if err != nil {
		return 0, err
	}
	n, err := gone.RowsAffected()
	if err == nil && n > 0 {
		_, err = db.Writer.ExecContext(ctx, `UPDATE move_progress SET cursor = '', copied = 0, done = 0 WHERE id = 'counters'`)
	}
	return n, err
}
