package control_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
	"smartseller/platform/pgserver/pgtest"
)

// holderVariable turns a run of this test binary into a process that holds the lock
// "test" on the control database it names, until it is killed.
const holderVariable = "CONTROL_LOCK_HOLDER"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(holderVariable); dsn != "" {
		hold(dsn)
	}
	pgtest.Main(m)
}

func hold(dsn string) {
	db, err := control.Open(context.Background(), dsn)
	if err == nil {
		err = db.Alone(context.Background(), "test", func(context.Context) error {
			_, _ = os.Stdout.WriteString("held\n")
			_, err := io.ReadAll(os.Stdin) // ends with the parent
			return err
		})
	}
	panic(err)
}

// onEachEngine gives a test an empty database of each engine.
func onEachEngine(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Parallel()
	for name, dsn := range map[string]func(t *testing.T) string{
		"SQLite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "control.db") },
		"Postgres": func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, dsn(t))
		})
	}
}

func open(t *testing.T, dsn string) *control.DB {
	t.Helper()
	db, err := control.Open(context.Background(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// TestSeveralInstancesStartAtOnce: each opens and migrates an empty database, and one
// of them does what is done once.
func TestSeveralInstancesStartAtOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, dsn string) {
		var runs, winners atomic.Int64
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				db, err := control.Open(context.Background(), dsn)
				if err != nil {
					t.Error(err)
					return
				}
				did, err := db.Once(context.Background(), "test", func(context.Context) error {
					runs.Add(1)
					return nil
				})
				if did {
					winners.Add(1)
				}
				if err := errors.Join(err, db.Close()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, runs.Load())
		require.EqualValues(t, 1, winners.Load())
	})
}

func TestOnceIsRepeatedUntilItSucceeds(t *testing.T) {
	onEachEngine(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		db := open(t, dsn)
		boom := errors.New("boom")
		did, err := db.Once(ctx, "test", func(context.Context) error { return boom })
		require.ErrorIs(t, err, boom)
		require.False(t, did)
		did, err = db.Once(ctx, "test", func(context.Context) error { return nil })
		require.NoError(t, err)
		require.True(t, did)
		did, err = open(t, dsn).Once(ctx, "test", func(context.Context) error { return boom })
		require.NoError(t, err, "it was done")
		require.False(t, did)
		did, err = db.Once(ctx, "another", func(context.Context) error { return nil })
		require.NoError(t, err)
		require.True(t, did)
	})
}

func TestLockEndsWithItsProcess(t *testing.T) {
	onEachEngine(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		holder := exec.Command(os.Args[0])
		holder.Env = append(os.Environ(), holderVariable+"="+dsn)
		_, err := holder.StdinPipe()
		require.NoError(t, err)
		said, err := holder.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, holder.Start())
		line, err := bufio.NewReader(said).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "held\n", line)

		short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		err = db.Alone(short, "test", func(context.Context) error { return errors.New("two at once") })
		require.Error(t, err)
		require.NotContains(t, err.Error(), "two at once")

		require.NoError(t, holder.Process.Kill())
		require.Error(t, holder.Wait())
		ran := false
		require.NoError(t, db.Alone(context.Background(), "test", func(context.Context) error {
			ran = true
			return nil
		}))
		require.True(t, ran)
	})
}

// TestLocksOfDifferentNamesNest, also where many wait for one.
func TestLocksOfDifferentNamesNest(t *testing.T) {
	onEachEngine(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		var wg sync.WaitGroup
		for range 40 { // more than a pool has connections
			wg.Go(func() {
				err := db.Alone(context.Background(), "outer", func(ctx context.Context) error {
					return db.Alone(ctx, "inner", func(ctx context.Context) error { return db.Ping(ctx) })
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Panics(t, func() {
			_ = db.Alone(context.Background(), "outer", func(context.Context) error { panic("stop") })
		})
		require.NoError(t, db.Alone(context.Background(), "outer", func(context.Context) error { return nil }), "a panic gives the lock up")
	})
}

// TestThoseWhoWaitHoldNoConnections: however many wait for one lock, all others use the
// database.
func TestThoseWhoWaitHoldNoConnections(t *testing.T) {
	onEachEngine(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		const waiting = 40 // more than a pool has connections
		var wg sync.WaitGroup
		require.NoError(t, db.Alone(context.Background(), "test", func(ctx context.Context) error {
			var asked sync.WaitGroup
			asked.Add(waiting)
			for range waiting {
				wg.Go(func() {
					err := db.Alone(asking{context.Background(), sync.OnceFunc(asked.Done)}, "test", func(context.Context) error { return nil })
					if err != nil {
						t.Error(err)
					}
				})
			}
			asked.Wait()
			soon, cancel := context.WithTimeout(ctx, 15*time.Second)
			defer cancel()
			return db.Update(soon, func(context.Context, control.Tx) error { return nil })
		}))
		wg.Wait()
	})
}

// asking tells, once, when its end is waited for, which is when a lock or a connection is.
type asking struct {
	context.Context
	tell func()
}

func (a asking) Done() <-chan struct{} {
	a.tell()
	return a.Context.Done()
}
