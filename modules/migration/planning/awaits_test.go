package planning_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration/planning"
	"smartseller/modules/migration/seller"
)

// TestASellerLearnsWhatThePlanKnows: when a move of a plan changes over, and what it waits for.
func TestASellerLearnsWhatThePlanKnows(t *testing.T) { onBoth(t, aSellerLearnsWhatThePlanKnows) }

func aSellerLearnsWhatThePlanKnows(t *testing.T, w *world) {
	w.run(t)
	s := w.scheduler(t, "one")
	desk := seller.NewService(w.db, w.moves, w.service)
	sees := func(at time.Time, awaits planning.Awaits) {
		t.Helper()
		found, _, err := desk.Moves(t.Context(), w.idOf(t, "shop"), "", 1)
		require.NoError(t, err)
		require.Equal(t, awaits, found[0].Awaits)
		if at.IsZero() {
			require.Zero(t, found[0].CutsAt)
			return
		}
		require.Equal(t, at.UTC(), time.UnixMicro(found[0].CutsAt).UTC())
	}
	p, quietest := w.quietInFour(t)
	w.until(t, p, waits(1, quietest), s)
	quiet := w.clock().Add(4 * time.Hour)
	sees(quiet, planning.AwaitsQuiet)
	wish, err := desk.Ask(t.Context(), w.idOf(t, "shop"), seller.NotNow{From: noon, Until: time.Now().Add(2 * time.Hour)})
	require.NoError(t, err)
	sees(quiet, planning.AwaitsSeller)
	w.ask(t, p, planning.Pause)
	sees(time.Time{}, planning.AwaitsOperator)
	w.ask(t, p, planning.Resume)
	require.NoError(t, desk.Withdraw(t.Context(), w.idOf(t, "shop"), wish.ID))
	w.hour.Add(4)
	sees(time.Time{}, planning.AwaitsTurn)
	w.until(t, p, moveIs(1, planning.Moved), s)
	sees(time.Time{}, planning.AwaitsNothing)
}
