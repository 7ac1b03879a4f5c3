package sqlite

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/backends/storetest"
	"smartseller/platform/database"
	"smartseller/platform/ids"
)

// hurried is a founded place whose application waits for nothing for long.
func hurried(t *testing.T) *sqlstore.Store {
	t.Helper()
	ctx := context.Background()
	catalog := storetest.Catalog(t)
	opened, err := Opener(catalog)(backends.Config{Name: "files", Kind: backends.SQLite, Path: t.TempDir()})
	require.NoError(t, err)
	b := opened.(*Backend)
	p := backends.Place{Backend: "files", Storefront: backends.StorefrontID(ids.New()), Epoch: 1}
	require.NoError(t, b.Create(ctx, p))
	path, err := b.file(p)
	require.NoError(t, err)
	db, err := database.OpenSQLite(ctx, path, database.SQLiteOptions{Readers: readers})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	file, err := identify(path)
	require.NoError(t, err)
	s := sqlstore.New(sqlstore.Options{
		Place: p, Catalog: catalog, Dialect: &dialect{db: db, file: file, catalog: catalog}, Lanes: lanes(), Timeout: time.Second,
	})
	require.NoError(t, s.Found(ctx, 1))
	return s
}

// hold lets so many transactions begin and returns what ends them all.
func hold(t *testing.T, n int, run func(inside func()) error) (end func()) {
	t.Helper()
	begun, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, n)
	for range n {
		go func() {
			ended <- run(func() {
				begun <- struct{}{}
				<-release
			})
		}()
		<-begun
	}
	return func() {
		close(release)
		for range n {
			require.NoError(t, <-ended)
		}
	}
}

func nothing(context.Context, backends.Tx) error { return nil }

// TestCustomersReadWhileAMoveVerifies: it gets half of the readers, whatever it asks for.
func TestCustomersReadWhileAMoveVerifies(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := hurried(t)
	verify := func(inside func()) error {
		return s.Read(ctx, func(backends.Reader) error {
			inside()
			return nil
		})
	}
	end := hold(t, readers/2, verify)
	var begun atomic.Int64
	more := make(chan error, readers/2)
	for range readers / 2 {
		go func() { more <- verify(func() { begun.Add(1) }) }()
	}
	endViews := hold(t, readers/2-1, func(inside func()) error {
		return s.View(ctx, 1, func(context.Context, backends.Tx) error {
			inside()
			return nil
		})
	})
	require.NoError(t, s.View(ctx, 1, nothing))
	_, err := s.Schema(ctx)
	require.NoError(t, err, "the first requests of a place wait for it")
	endViews()
	require.Zero(t, begun.Load(), "a move has more than half of the readers")
	end()
	for range readers / 2 {
		require.NoError(t, <-more)
	}
}

// TestContentionNamesWhatIsInTheWay: readers that are all taken are told apart from the one
// writer, and who holds it from another process.
func TestContentionNamesWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := hurried(t)
	end := hold(t, 1, func(inside func()) error {
		return s.Update(ctx, 1, func(context.Context, backends.Tx) error {
			inside()
			return nil
		})
	})
	err := s.Update(ctx, 1, nothing)
	require.ErrorIs(t, err, sqlstore.ErrContended)
	require.False(t, sqlstore.Retryable(err), "another try would queue again")
	require.ErrorContains(t, err, "the file's one writer did not become free in 1s; held longest by Update, for ")
	require.NoError(t, s.View(ctx, 1, nothing), "readers wait for no writer")
	end()

	end = hold(t, readers, func(inside func()) error {
		return s.View(ctx, 1, func(context.Context, backends.Tx) error {
			inside()
			return nil
		})
	})
	err = s.View(ctx, 1, nothing)
	require.ErrorIs(t, err, sqlstore.ErrContended)
	require.ErrorContains(t, err, "one of the file's 12 readers did not become free in 1s; held longest by View, for ")
	require.NoError(t, s.Update(ctx, 1, nothing), "the writer waits for no reader")
	end()
}
