package migration

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// wrongRow is what a gate says that knows which row is wrong.
type wrongRow struct{ backends.Key }

func (e wrongRow) Error() string     { return e.ID + " is wrong" }
func (e wrongRow) Row() backends.Key { return e.Key }

// TestGateThatNamesABusyRow: what a gate says of a row does not count while that row
// changes, and counts at once when it does not. Which gate is asked again is explained.
func TestGateThatNamesABusyRow(t *testing.T) {
	t.Parallel()
	var i *instance
	var id backends.StorefrontID
	var asked, busyFor atomic.Int64
	begun := make(chan string, 1)
	var explained *Explanation
	i = newWorld(t).instance(t, nil, Gate{Name: "taste", Check: func(context.Context, backends.Reader, backends.Reader) (string, error) {
		n := asked.Add(1)
		if n > busyFor.Load() {
			return "", wrongRow{backends.Key{Table: "counters", ID: "row-000003"}}
		}
		if n > gateTries {
			return "it tastes", nil
		}
		if n == 2 {
			var err error
			if explained, err = i.service.Explain(context.Background(), <-begun); err != nil {
				return "", err
			}
		}
		if err := i.router.Update(context.Background(), id, func(_ context.Context, tx backends.Tx) error {
			_, err := tx.Exec(putCell, "busy", n)
			return err
		}); err != nil { // between the drain and the check
			return "", err
		}
		return "", wrongRow{backends.Key{Table: "counters", ID: "busy"}}
	}})
	id = i.storefront(t, 20)
	m := i.waitFor(t, start(t, i, id, Options{}).ID, Failed)
	require.Contains(t, m.Cause, "row-000003 is wrong")
	require.EqualValues(t, 1, asked.Load())

	asked.Store(0)
	busyFor.Store(gateTries + 1)
	m = start(t, i, id, Options{})
	begun <- m.ID
	i.waitFor(t, m.ID, Watching)
	require.True(t, anyWait(explained, "progress", "again the gate taste"), "%+v", explained)
	require.EqualValues(t, gateTries+1, asked.Load())
}
