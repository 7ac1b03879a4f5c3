package sqlite_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestWarmHoldsNobodyUp: a file is made ready for a cutover while a reader has a snapshot
// of it open. A writer that waits for nobody gets its turn all the time, and what the
// reader does not need is in the file.
func TestWarmHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folder := t.TempDir()
	b, p := founded(t, folder)
	s, err := b.Open(ctx, p)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	other := behind(t, file(folder, p))
	defer other.Close()
	write := func() error {
		_, err := other.ExecContext(ctx, `UPDATE fence SET gen = gen`)
		return err
	}
	require.NoError(t, write())
	require.NoError(t, s.Prepare(ctx))
	var busy, frames, copied int
	require.NoError(t, other.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &copied))
	require.Equal(t, frames, copied)

	// From here on the writer's connection would wait for others' locks for seconds.
	require.NoError(t, s.Takeover(ctx, backends.Token{Move: "m", Gen: 1}))
	require.NoError(t, s.Read(ctx, func(r backends.Reader) error {
		if _, err := r.Count(backends.FenceTable); err != nil { // the snapshot begins
			return err
		}
		require.NoError(t, write())
		began, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- func() error {
				for turns := 0; ; turns++ {
					if err := write(); err != nil {
						return err
					}
					if turns == 0 {
						close(began)
					}
					select {
					case <-end:
						return nil
					default:
					}
				}
			}()
		}()
		<-began
		warming := s.Prepare(ctx)
		close(end)
		require.NoError(t, <-ended, "a writer was held up")
		return warming
	}))
}
