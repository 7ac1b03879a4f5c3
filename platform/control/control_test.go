package control_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
	"smartseller/platform/control/controltest"
	"smartseller/platform/database"
	"smartseller/platform/pgserver/pgtest"
)

const insertLease = `INSERT INTO leases (name, holder, token, until) VALUES ($1, $2, $3, $4)`

func TestCounterUnderConcurrentUpdates(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := controltest.Open(t)
	require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(insertLease, "n", "", 0, tx.Now())
		return err
	}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				err := db.Update(ctx, func(_ context.Context, tx control.Tx) error {
					var n int64
					if err := tx.GetLocked(&n, `SELECT token FROM leases WHERE name = $1`, "n"); err != nil {
						return err
					}
					_, err := tx.Exec(`UPDATE leases SET token = $2 WHERE name = $1`, "n", n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var n int64
	require.NoError(t, db.View(ctx, func(_ context.Context, tx control.Tx) error {
		return tx.Get(&n, `SELECT token FROM leases WHERE name = $1`, "n")
	}))
	require.EqualValues(t, 160, n)
}

// TestTextOfNoEngine: what came with a request must be the same error on both engines.
func TestTextOfNoEngine(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := controltest.Open(t)
	for _, text := range []string{"a\x00b", "a\xffb"} {
		type name string
		for _, arg := range []any{text, &text, name(text)} {
			require.ErrorIs(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
				_, err := tx.Exec(insertLease, arg, "", 0, 0)
				return err
			}), database.ErrText)
			require.ErrorIs(t, db.View(ctx, func(_ context.Context, tx control.Tx) error {
				return tx.Get(new(string), `SELECT holder FROM leases WHERE name = $1`, arg)
			}), database.ErrText)
			require.ErrorIs(t, db.View(ctx, func(_ context.Context, tx control.Tx) error {
				return tx.Select(&[]string{}, `SELECT holder FROM leases WHERE name = $1`, arg)
			}), database.ErrText)
		}
	}
}

func TestRollbackAndErrors(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := controltest.Open(t)
	boom := errors.New("boom")
	err := db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if _, err := tx.Exec(insertLease, "a", "", 0, 0); err != nil {
			return err
		}
		return boom
	})
	require.ErrorIs(t, err, boom)
	require.Panics(t, func() {
		_ = db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, _ = tx.Exec(insertLease, "a", "", 0, 0)
			panic("stop")
		})
	})
	err = db.View(ctx, func(_ context.Context, tx control.Tx) error {
		var s string
		return tx.Get(&s, `SELECT holder FROM leases WHERE name = $1`, "a")
	})
	require.ErrorIs(t, err, sql.ErrNoRows)
	err = db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		if _, err := tx.Exec(insertLease, "a", "", 0, 0); err != nil {
			return err
		}
		_, err := tx.Exec(insertLease, "a", "", 0, 0)
		return err
	})
	require.ErrorIs(t, err, control.ErrUnique)
}

// TestStoppedTransactionHoldsNobodyUp: a process may stand still with a row locked, and
// others need that row.
func TestStoppedTransactionHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db, err := control.Open(ctx, pgtest.Database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	set := func(ctx context.Context, holder string, meanwhile func()) error {
		return db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			_, err := tx.Exec(`UPDATE leases SET holder = $2 WHERE name = $1`, "n", holder)
			meanwhile()
			return err
		})
	}
	require.NoError(t, db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(insertLease, "n", "", 0, 0)
		return err
	}))
	var went error
	stopped := set(ctx, "who stands still", func() {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second) // without a guard the two wait for each other
		defer cancel()
		went = set(ctx, "who goes on", func() {})
	})
	require.NoError(t, went, "who goes on")
	require.Error(t, stopped, "what stood still for long must not be committed")
	var holder string
	require.NoError(t, db.View(ctx, func(_ context.Context, tx control.Tx) error {
		return tx.Get(&holder, `SELECT holder FROM leases WHERE name = $1`, "n")
	}))
	require.Equal(t, "who goes on", holder)
}

func TestUnknownDSN(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "mysql://x", "postgres://u:secret@127.0.0.1/db"} {
		_, err := control.Open(context.Background(), dsn)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "secret")
	}
}

// TestFileIsTakenAway: what is open still answers, so it must be noticed otherwise.
func TestFileIsTakenAway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "control.db")
	db, err := control.Open(ctx, "sqlite:"+path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Present())
	require.NoError(t, os.Rename(path, path+".away"))
	require.ErrorIs(t, db.Present(), control.ErrGone)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.ErrorIs(t, db.Present(), control.ErrGone, "another one")
	require.NoError(t, os.Rename(path+".away", path))
	require.NoError(t, db.Present())

	_, err = control.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "nowhere", "control.db"))
	require.ErrorContains(t, err, "nowhere cannot be written (no such file or directory)")
}
