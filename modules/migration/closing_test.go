package migration

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAPromisedRollbackKeepsTheWindowOpen, however far the old place falls behind: the
// operator is told, and the rollback comes when that is back.
func TestAPromisedRollbackKeepsTheWindowOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	log := i.writesDown()
	i.runner.longestLag, i.runner.tolerance = 10, waitLong
	putBack := takeAway(t, filepath.Join(w.folder, "one"))
	for range 12 {
		s.put(i, hotCell)
	}
	ask(t, i, m.ID, WantRollback)
	i.runner.Start()
	require.Eventually(t, func() bool { return counted(t, i, "smartseller_move_windows_lagged_total") > 0 }, waitLong, waitStep)
	require.Equal(t, 1, log.count("ERROR: changes pile up at the new place"))
	now := get(t, i, m.ID)
	require.Equal(t, []any{Watching, WantRollback}, []any{now.Phase, now.Intent})
	putBack()
	i.waitFor(t, m.ID, RolledBack)
	require.NoError(t, s.verdict(i.router))
}

// TestTheWindowOfAPlaceThatTakesNoRowsCloses: the old place answers, and only what is
// written behind the cutover does not come to it.
func TestTheWindowOfAPlaceThatTakesNoRowsCloses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := &stage{}
	i := w.instance(t, at.hook)
	log := i.writesDown()
	i.runner.longestLag = 10
	i.runner.Start()
	s := newScene(t, i, "one")
	at.set(string(Watching))
	m := startTo(t, i, s.storefront, "two", Options{})
	happens(t, at.reached, "a window that opens")
	w.executeAt(t, m.Source, `CREATE TRIGGER mine BEFORE INSERT ON counters BEGIN SELECT RAISE(ABORT, 'it takes no rows'); END`)
	for range 12 {
		s.put(i, hotCell)
	}
	close(at.goOn)
	m = i.waitFor(t, m.ID, Completed)
	require.Contains(t, m.Advice, "The rollback window closed itself")
	require.Equal(t, 1, log.count("ERROR: a rollback window closed itself"))
	require.InDelta(t, 1, counted(t, i, "smartseller_move_windows_lagged_total"), 0)
	require.Empty(t, w.files(t, "one", s.storefront))
	s.put(i, hotCell)
	require.NoError(t, s.verdict(i.router))
}
