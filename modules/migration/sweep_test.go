package migration

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// TestStoriesAreForgotten: of moves that ended long ago the receipt is left; those that
// ended lately, or have not ended, keep their events.
func TestStoriesAreForgotten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	var moves []*Move
	for range 3 {
		moves = append(moves, startTo(t, i, i.storefront(t, 10), "two", Options{}))
	}
	for _, m := range moves {
		i.waitFor(t, m.ID, Watching)
	}
	for _, m := range moves[1:] {
		ask(t, i, m.ID, WantFinalize)
		i.waitFor(t, m.ID, Completed)
	}
	const long = 1000 * time.Hour
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		for _, m := range moves { // all of them began long ago; the last one ended then, too
			if _, err := tx.Exec(`UPDATE moves SET created_at = $2 WHERE id = $1`, m.ID, tx.Now()-2*long.Microseconds()); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`UPDATE moves SET ended_at = $2 WHERE id = $1`, moves[2].ID, tx.Now()-2*long.Microseconds())
		return err
	}))
	require.NoError(t, i.runner.forgetStories(ctx, long))
	for n, kept := range []bool{true, true, false} {
		events, err := i.service.Events(ctx, moves[n].ID, 0, 10)
		require.NoError(t, err)
		require.Equal(t, kept, len(events) > 0, n)
	}
	require.NotEmpty(t, get(t, i, moves[2].ID).Receipt)
}

// TestALongPauseEnds: a move that is paused while more and more changes gather for it is
// given up, says why, and leaves the source as it was.
func TestALongPauseEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := &stage{}
	i := w.instance(t, at.hook)
	i.runner.longestLag = 10
	s := newScene(t, i, "one")
	at.set(string(Copying))
	m := startTo(t, i, s.storefront, "two", Options{})
	happens(t, at.reached, "a copy that begins")
	ask(t, i, m.ID, WantPause)
	close(at.goOn)
	i.waitFor(t, m.ID, Paused)
	require.NoError(t, i.runner.endLongPauses(context.Background()))
	require.Equal(t, Paused, get(t, i, m.ID).Phase, "few changes are kept")
	for range 12 {
		s.put(i, hotCell)
	}
	require.NoError(t, i.runner.endLongPauses(context.Background()))
	ended := i.waitFor(t, m.ID, Failed)
	require.Contains(t, ended.Cause, "paused for so long")
	require.NotEmpty(t, ended.Advice)
	s.put(i, hotCell)
	i.requireAt(t, s.storefront, "one", 1)
	require.NoError(t, s.verdict(i.router))
}

// TestABackendWithLeftovers is forgotten only by who says that it never comes back; then
// nobody tries to erase them any more.
func TestABackendWithLeftovers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{Mode: Rehearsal})
	i.waitFor(t, m.ID, Rehearsed)
	require.NoError(t, i.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		_, err := tx.Exec(`UPDATE moves SET left_behind = 'two' WHERE id = $1`, m.ID)
		return err
	}))
	err := i.directory.Remove(ctx, "two", false)
	require.Equal(t, "backend_left_behind", fault.Of(err).Code)
	require.NoError(t, i.directory.Remove(ctx, "two", true))
	require.NoError(t, i.runner.eraseLeft(ctx))
	require.Empty(t, get(t, i, m.ID).LeftBehind)
	require.Contains(t, get(t, i, m.ID).Advice, "What it left on two was abandoned with that backend.")
	require.NoError(t, s.verdict(i.router))
}

// TestSweepPassesByWhatIsAway: of a backend that does not answer one place is tried, since
// each may take long; a place that cannot be erased though its backend answers holds up no
// other one there.
func TestSweepPassesByWhatIsAway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.sweep = time.Hour // the test sweeps
	i := w.instance(t, nil)
	three := filepath.Join(w.folder, "three")
	require.NoError(t, os.Mkdir(three, 0o700))
	require.NoError(t, i.directory.Register(ctx, backends.Config{Name: "three", Kind: backends.SQLite, Path: three}))
	var moves []*Move // in the order in which they are swept
	for _, target := range []string{"two", "two", "three"} {
		m := newScene(t, i, "one").ready(i, target)
		ask(t, i, m.ID, WantPause)
		i.waitFor(t, m.ID, Paused)
		moves = append(moves, m)
	}
	log := i.writesDown()
	i.runner.tolerance = 100 * time.Millisecond
	i.runner.Start()
	twoIsBack, threeIsBack := takeAway(t, filepath.Join(w.folder, "two")), takeAway(t, three)
	for _, m := range moves {
		ask(t, i, m.ID, WantCancel)
		i.waitFor(t, m.ID, Cancelled)
	}
	left := func() (out []string) {
		require.NoError(t, i.runner.eraseLeft(ctx))
		for _, m := range moves {
			out = append(out, get(t, i, m.ID).LeftBehind)
		}
		return out
	}
	threeIsBack()
	require.Equal(t, []string{"two", "two", ""}, left())
	require.Equal(t, 1, log.count("what a move left behind cannot be erased yet"))

	twoIsBack()
	firstIsBack := takeAway(t, filepath.Join(w.folder, "two", string(moves[0].Storefront)))
	require.Equal(t, []string{"two", "", ""}, left())
	firstIsBack()
	require.Equal(t, []string{"", "", ""}, left())
	for _, m := range moves {
		require.Empty(t, w.files(t, m.Target.Backend, m.Storefront))
	}
}
