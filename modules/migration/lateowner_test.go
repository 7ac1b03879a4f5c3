package migration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestLateOwnerDestroysItsOwnPlace: an owner stands still before it destroys what its move
// made, another one ends that move, and the storefront comes to live on that very backend
// by the next one. What the first destroys then is not where customers are.
func TestLateOwnerDestroysItsOwnPlace(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"two", "shared", "dedicated"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			at := &stage{}
			i := newWideWorld(t).instance(t, at.hook)
			s := newScene(t, i, "one")
			i.runner.Stop()
			m, err := i.service.Start(ctx, Request{Storefront: s.storefront, Target: target})
			require.NoError(t, err)

			late := claimed(t, i, m.ID)
			require.NoError(t, late.enter(ctx, Preparing))
			require.NoError(t, late.open(ctx))
			require.NoError(t, late.prepare(ctx))
			require.NoError(t, late.enter(ctx, Cancelling))
			at.set("erasing")
			ended := make(chan error, 1)
			go func() { ended <- late.undo(ctx) }()
			happens(t, at.reached, "an owner about to destroy the target")
			other := claimed(t, i, m.ID)
			require.NoError(t, other.open(ctx))
			require.NoError(t, other.undo(ctx))
			require.Equal(t, Cancelled, other.m.Phase)

			i.runner.Start()
			next := startTo(t, i, s.storefront, target, Options{})
			i.waitFor(t, next.ID, Watching)
			s.put(i, hotCell)
			close(at.goOn)
			require.ErrorIs(t, <-ended, errLost)

			i.stores.Drop(next.Target) // what is read now was not opened before
			s.put(i, slowCell)
			s.read(i, hotCell)
			require.NoError(t, s.verdict(i.router))
			ask(t, i, next.ID, WantRollback)
			i.waitFor(t, next.ID, RolledBack)
			require.NoError(t, s.verdict(i.router))
		})
	}
}

// TestNoNameTwice: every move of a storefront has a target of its own, whatever became of
// the ones before, and the storefront's epoch counts its placements alone.
func TestNoNameTwice(t *testing.T) {
	t.Parallel()
	i := newWorld(t).instance(t, nil)
	s := newScene(t, i, "one")
	names := map[backends.Place]bool{}
	end := func(o Options, target string, want Intent, after Phase, ended Phase) {
		m := startTo(t, i, s.storefront, target, o)
		if want != NoIntent {
			i.waitFor(t, m.ID, after)
			ask(t, i, m.ID, want)
		}
		i.waitFor(t, m.ID, ended)
		require.False(t, names[m.Target], "%v", m.Target)
		names[m.Target] = true
	}
	end(Options{Mode: Rehearsal}, "two", NoIntent, "", Rehearsed)
	end(Options{ManualCutover: true}, "two", WantCancel, Verifying, Cancelled)
	end(Options{}, "two", WantRollback, Watching, RolledBack)
	i.requireAt(t, s.storefront, "one", 3)
	end(Options{}, "two", WantFinalize, Watching, Completed)
	i.requireAt(t, s.storefront, "two", 4)
	end(Options{}, "one", WantFinalize, Watching, Completed)
	i.requireAt(t, s.storefront, "one", 5)
	require.NoError(t, s.verdict(i.router))
}

// TestLateOwnerTellsWhatItMade: an owner makes the target of a move that has been given up
// meanwhile. It notes that, and what it made is swept, though no move comes there again.
func TestLateOwnerTellsWhatItMade(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	i := w.instance(t, nil)
	s := newScene(t, i, "one")
	i.runner.Stop()
	m, err := i.service.Start(ctx, Request{Storefront: s.storefront, Target: "two"})
	require.NoError(t, err)
	late := claimed(t, i, m.ID)
	require.NoError(t, late.enter(ctx, Preparing))
	require.NoError(t, late.open(ctx))
	other := claimed(t, i, m.ID)
	require.NoError(t, other.open(ctx))
	require.NoError(t, other.enter(ctx, Cancelling))
	require.NoError(t, other.undo(ctx))

	require.ErrorIs(t, late.drive(ctx), errLost)
	require.NotEmpty(t, w.files(t, "two", s.storefront))
	late.close()
	late.noteLateTarget(ctx, errLost)
	require.Equal(t, "two", get(t, i, m.ID).LeftBehind)
	require.NoError(t, i.runner.eraseLeft(ctx))
	require.Empty(t, get(t, i, m.ID).LeftBehind)
	require.Empty(t, w.files(t, "two", s.storefront))
	require.NoError(t, s.verdict(i.router))
}

// TestALostPreparationIsNoted by the runner, whose move another instance has given up.
func TestALostPreparationIsNoted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	at := &stage{}
	first, second := w.instance(t, at.hook), w.instance(t, nil)
	s := newScene(t, first, "one")
	second.runner.Stop()
	at.set(string(Preparing))
	m := startTo(t, first, s.storefront, "two", Options{})
	happens(t, at.reached, "a move that begins")
	other := claimed(t, second, m.ID)
	require.NoError(t, other.open(ctx))
	require.NoError(t, other.enter(ctx, Cancelling))
	require.NoError(t, other.undo(ctx))
	close(at.goOn)
	require.Eventually(t, func() bool { return get(t, second, m.ID).LeftBehind == "two" }, waitLong, waitStep)
	require.Equal(t, Cancelled, get(t, second, m.ID).Phase)
}
