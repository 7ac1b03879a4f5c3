package migration

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/platform/pgserver"
)

// TestPlacesAway takes the server of a place away while a move needs it only for what
// comes after the storefront has its new home.
func TestPlacesAway(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := newWorld(t)
	w.own.admin, w.own.app = server.AdminDSN(), server.DSN("postgres", "app") // killed, it refuses at once
	w.sweep = 20 * time.Millisecond
	at := &stage{}
	i := w.instance(t, at.hook)
	i.runner.tolerance = time.Second
	i.runner.longestLag = 10
	for name, test := range map[string]func(*testing.T, *instance, *pgserver.Server, *stage){
		"old place in the window":       oldPlaceAwayInTheWindow,
		"old place in a rollback":       oldPlaceAwayInARollback,
		"new place behind the rollback": newPlaceAwayAfterARollback,
		"old place that differs":        oldPlaceThatDiffersAway,
		"old place behind the commit":   oldPlaceAwayBehindTheCommit,
		"target of a cancelled move":    targetAwayInACancel,
		"and moved back to":             backToWhatWasLeft,
	} {
		t.Run(name, func(t *testing.T) { test(t, i, server, at) })
	}
}

// oldPlaceThatDiffersAway: while the places differ the window stays open however far the
// old one falls behind, and the operator is told.
func oldPlaceThatDiffersAway(t *testing.T, i *instance, server *pgserver.Server, _ *stage) {
	s := newScene(t, i, "own")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	i.spoil(t, m.Source, "counters", "strange", backends.Row{"strange", int64(666)})
	require.Positive(t, i.audited(t, m.ID).Findings)
	require.NoError(t, server.Kill())
	before := counted(t, i, "smartseller_move_windows_lagged_total")
	for range 12 {
		s.put(i, hotCell)
	}
	require.Eventually(t, func() bool { return counted(t, i, "smartseller_move_windows_lagged_total") > before }, waitLong, waitStep)
	require.Equal(t, Watching, get(t, i, m.ID).Phase)
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
	require.NoError(t, server.Restart(context.Background()))
}

// oldPlaceAwayInTheWindow: the old place's server goes while the storefront is watched
// at the new one, and is away for as long as the move lasts. The operator is heard,
// the window closes, the move ends, another one can begin, and what was left behind is
// erased when the server is back.
func oldPlaceAwayInTheWindow(t *testing.T, i *instance, server *pgserver.Server, _ *stage) {
	for _, c := range []struct {
		name    string
		options Options
		then    func(s scene, move string)
		advice  string
	}{
		{"finalize", Options{}, func(s scene, move string) { ask(t, i, move, WantFinalize) }, ""},
		{"finalize in place of a rollback", Options{}, func(s scene, move string) {
			ask(t, i, move, WantRollback)
			_, err := i.service.Ask(context.Background(), move, WantFinalize)
			require.Error(t, err, "the rollback may be about to begin")
			require.Eventually(t, func() bool {
				_, err := i.service.Ask(context.Background(), move, WantFinalize)
				return err == nil
			}, waitLong, waitStep, "it does not")
		}, ""},
		{"the window is over", Options{WindowSeconds: 1}, func(scene, string) {}, ""},
		{"it falls behind", Options{}, func(s scene, _ string) {
			for range 12 {
				s.put(i, hotCell)
			}
		}, "The rollback window closed itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, i, "own")
			m := startTo(t, i, s.storefront, "two", c.options)
			i.waitFor(t, m.ID, Watching, Finalizing)
			require.NoError(t, server.Kill())
			c.then(s, m.ID)
			ended := i.waitFor(t, m.ID, Completed)
			require.Equal(t, "own", ended.LeftBehind)
			require.Contains(t, ended.Receipt, "put off: erase the storefront from own: the database cannot be reached")
			require.Contains(t, ended.Advice, c.advice)
			e, err := i.service.Explain(context.Background(), m.ID)
			require.NoError(t, err)
			require.True(t, anyWait(e, "end", "own"))
			s.moveOn(i, "one")
			require.NoError(t, server.Restart(context.Background()))
			i.erased(t, m.ID)
			require.Zero(t, rowsAt(t, server, s.storefront))
		})
	}
}

// moveOn moves the storefront once more, from the place that it was moved to.
func (s scene) moveOn(i *instance, target string) {
	s.put(i, hotCell)
	next := startTo(s.t, i, s.storefront, target, Options{})
	s.judge(i, next.ID)
}

// oldPlaceAwayInARollback: the storefront stays where it is, and is told why.
func oldPlaceAwayInARollback(t *testing.T, i *instance, server *pgserver.Server, at *stage) {
	s := newScene(t, i, "own")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	at.set(string(RollingBack))
	ask(t, i, m.ID, WantRollback)
	happens(t, at.reached, "a rollback that begins")
	require.NoError(t, server.Kill())
	close(at.goOn)
	require.Eventually(t, func() bool {
		m, err := i.service.Get(context.Background(), m.ID)
		require.NoError(t, err)
		return m.Phase == Watching && m.Cause != "" && m.Advice != ""
	}, waitLong, waitStep, "the rollback is given up")
	s.put(i, hotCell)
	require.NoError(t, server.Restart(context.Background()))
	ask(t, i, m.ID, WantRollback)
	i.waitFor(t, m.ID, RolledBack)
	require.NoError(t, s.verdict(i.router))
}

// newPlaceAwayAfterARollback: the storefront is back at the old place for good, and
// does not wait for the new one to be erased.
func newPlaceAwayAfterARollback(t *testing.T, i *instance, server *pgserver.Server, at *stage) {
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "own", Options{})
	i.waitFor(t, m.ID, Watching)
	at.set("K13")
	ask(t, i, m.ID, WantRollback)
	happens(t, at.reached, "a rollback at its commit")
	require.NoError(t, server.Kill())
	close(at.goOn)
	ended := i.waitFor(t, m.ID, RolledBack)
	require.Equal(t, "own", ended.LeftBehind)
	s.moveOn(i, "two")
	require.NoError(t, server.Restart(context.Background()))
	i.erased(t, m.ID)
	require.Zero(t, rowsAt(t, server, s.storefront))
	require.NoError(t, s.verdict(i.router))
}

// oldPlaceAwayBehindTheCommit: the move goes on without it, and is finalized, also when the
// old place comes back in the middle of that, or rolled back when it has come back.
func oldPlaceAwayBehindTheCommit(t *testing.T, i *instance, server *pgserver.Server, at *stage) {
	for _, then := range []string{"finalize", "rollback", "come back and finalize"} {
		s := newScene(t, i, "own")
		at.set("K13")
		m := startTo(t, i, s.storefront, "two", Options{})
		happens(t, at.reached, "a commit")
		require.NoError(t, server.Kill())
		close(at.goOn)
		i.waitFor(t, m.ID, Watching)
		s.put(i, hotCell)
		switch then {
		case "rollback":
			require.NoError(t, server.Restart(context.Background()))
			ask(t, i, m.ID, WantRollback)
			i.waitFor(t, m.ID, RolledBack)
		case "finalize":
			ask(t, i, m.ID, WantFinalize)
			require.Equal(t, "own", i.waitFor(t, m.ID, Completed).LeftBehind)
			require.NoError(t, server.Restart(context.Background()))
			i.erased(t, m.ID)
		default:
			at.set("finalizing")
			ask(t, i, m.ID, WantFinalize)
			happens(t, at.reached, "the end begins")
			require.NoError(t, server.Restart(context.Background()))
			close(at.goOn)
			require.Empty(t, i.waitFor(t, m.ID, Completed).LeftBehind)
			require.Zero(t, rowsAt(t, server, s.storefront))
		}
		require.NoError(t, s.verdict(i.router))
	}
}

// targetAwayInACancel: nothing waits for what the move had made until then.
func targetAwayInACancel(t *testing.T, i *instance, server *pgserver.Server, at *stage) {
	s := newScene(t, i, "one")
	at.set("K4")
	m := startTo(t, i, s.storefront, "own", Options{})
	happens(t, at.reached, "a chunk at the target")
	require.NoError(t, server.Kill())
	ask(t, i, m.ID, WantCancel)
	close(at.goOn)
	ended := i.waitFor(t, m.ID, Cancelled)
	require.Equal(t, "own", ended.LeftBehind)
	require.Contains(t, ended.Stats.Gates["clean-up of the target"], "put off")
	s.moveOn(i, "two")
	require.NoError(t, server.Restart(context.Background()))
	i.erased(t, m.ID)
	require.Zero(t, rowsAt(t, server, s.storefront))
}

// backToWhatWasLeft: a move to the backend on which an earlier one left the
// storefront's rows removes them first.
func backToWhatWasLeft(t *testing.T, i *instance, server *pgserver.Server, _ *stage) {
	i.runner.Stop()
	sweeping := i.runner.sweepEvery
	i.runner.sweepEvery = time.Hour // nobody does
	i.runner.Start()
	s := newScene(t, i, "own")
	m := startTo(t, i, s.storefront, "two", Options{})
	i.waitFor(t, m.ID, Watching)
	require.NoError(t, server.Kill())
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
	require.NoError(t, server.Restart(context.Background()))
	require.NotZero(t, rowsAt(t, server, s.storefront))
	s.moveOn(i, "own")
	i.runner.Stop()
	i.runner.sweepEvery = sweeping
	i.runner.Start()
	i.erased(t, m.ID)
	s.put(i, slowCell)
	require.NoError(t, s.verdict(i.router))
}

// TestWindowStaysOpenWhilePlacesDiffer: only an operator erases an old place that a
// comparison found to differ.
func TestWindowStaysOpenWhilePlacesDiffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	m := startTo(t, i, s.storefront, "two", Options{WindowSeconds: 3600})
	i.waitFor(t, m.ID, Watching)
	old := backends.Place{Backend: "one", Storefront: s.storefront, Epoch: 1}
	i.spoil(t, old, "counters", "row-000007", nil)
	require.NotZero(t, i.audited(t, m.ID).Findings)

	i.staysOpen(t, m.ID, "since the places differ")
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
}

// staysOpen sees that a move's window would stay open though it were over, and that it is said why.
func (i *instance) staysOpen(t *testing.T, move, why string) {
	t.Helper()
	x := &run{Runner: i.runner, m: get(t, i, move)}
	x.m.Options.WindowSeconds = 1
	x.m.Stats.CommittedAt -= time.Hour.Microseconds()
	x.intent.Store(NoIntent)
	closed, err := x.closeWindow(context.Background())
	require.NoError(t, err)
	require.False(t, closed)
	e, err := i.service.Explain(context.Background(), move)
	require.NoError(t, err)
	require.True(t, anyWait(e, "window", "stays open until an operator decides, "+why))
}

// erased waits until nothing is left behind by a move.
func (i *instance) erased(t *testing.T, move string) {
	t.Helper()
	require.Eventually(t, func() bool { return get(t, i, move).LeftBehind == "" }, waitLong, waitStep)
	require.Equal(t, 1, countEvents(t, i, move, "left_erased"))
}

func get(t *testing.T, i *instance, move string) *Move {
	m, err := i.service.Get(context.Background(), move)
	require.NoError(t, err)
	return m
}

// rowsAt counts a storefront's rows in a shared database.
func rowsAt(t *testing.T, server *pgserver.Server, id backends.StorefrontID) (n int) {
	db, err := sql.Open("postgres", server.AdminDSN())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.QueryRow(`SELECT (SELECT count(*) FROM counters WHERE storefront_id = $1) + (SELECT count(*) FROM fence WHERE storefront_id = $1)`, string(id)).Scan(&n))
	return n
}
