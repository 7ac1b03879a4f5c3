package migration

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
)

// TestEveryEndIsCounted, whatever it is.
func TestEveryEndIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(t, nil)
	for outcome, end := range map[Phase]func(m *Move){
		Completed:  func(m *Move) { i.waitFor(t, m.ID, Watching); ask(t, i, m.ID, WantFinalize) },
		RolledBack: func(m *Move) { i.waitFor(t, m.ID, Watching); ask(t, i, m.ID, WantRollback) },
		Cancelled:  func(m *Move) { ask(t, i, m.ID, WantCancel) },
		Failed:     nil,
		Rehearsed:  nil,
	} {
		id := i.storefront(t, 20)
		options := Options{}
		switch outcome {
		case Cancelled:
			options.ManualCutover = true
		case Rehearsed:
			options.Mode = Rehearsal
		case Failed:
			w.execute(t, id, `ALTER TABLE counters ADD COLUMN surprise INTEGER`)
		}
		m := start(t, i, id, options)
		if end != nil {
			end(m)
		}
		i.waitFor(t, m.ID, outcome)
		require.Eventually(t, func() bool { return counted(t, i, "smartseller_moves_ended_total", string(outcome)) == 1 }, waitLong, waitStep, outcome)
	}
}

// TestAnEndWhoseAnswerIsLostIsCounted by whoever learns of it.
func TestAnEndWhoseAnswerIsLostIsCounted(t *testing.T) {
	t.Parallel()
	var i *instance
	var m *Move
	i = newWorld(t).instance(t, func(ctx context.Context, point string) error {
		if point != "K18" {
			return nil
		}
		err := i.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
			m, err := readMove(tx, m.ID, true)
			if err != nil {
				return err
			}
			now := tx.Now()
			m.begins(Completed, now)
			m.EndedAt, m.LeaseUntil = &now, 0
			return writeMove(tx, m)
		})
		return errors.Join(err, &controlError{errors.New("no answer")})
	})
	m = start(t, i, i.storefront(t, 20), Options{})
	i.waitFor(t, m.ID, Watching)
	ask(t, i, m.ID, WantFinalize)
	i.waitFor(t, m.ID, Completed)
	require.Eventually(t, func() bool { return counted(t, i, "smartseller_moves_ended_total", string(Completed)) == 1 }, waitLong, waitStep)
}
