package migration

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

func TestSchemaDifferenceNamesColumns(t *testing.T) {
	t.Parallel()
	require.Empty(t, schemaDifference(counters, []string{"value", "storefront_id", "id"}))
	require.Equal(t, "counters lacks value", schemaDifference(counters, []string{"storefront_id", "id"}))
	require.Equal(t, "counters has colour, which nobody declared", schemaDifference(counters, []string{"storefront_id", "id", "value", "colour"}))
}

// TestGateOfAModule: a gate that fails for good keeps the storefront where it is and
// is named in the report; one that fails once, as a snapshot in between may, does not.
func TestGateOfAModule(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var broken atomic.Bool
	i := newWorld(t).instance(t, nil, Gate{Name: "taste", Check: func(_ context.Context, source, target backends.Reader) (string, error) {
		if broken.Load() || asked.Add(1) == 1 {
			return "", errors.New("it tastes of nothing")
		}
		n, err := target.Count(counters)
		if n == 0 {
			return "", errors.New("the target is empty")
		}
		return "it tastes", err
	}})
	id := i.storefront(t, 20)
	broken.Store(true)
	m := start(t, i, id, Options{})
	m = i.waitFor(t, m.ID, Failed)
	require.Contains(t, m.Cause, "gate taste: it tastes of nothing")
	i.requireAt(t, id, "one", 1)
	broken.Store(false)
	m = start(t, i, id, Options{})
	m = i.waitFor(t, m.ID, Watching)
	require.Equal(t, "it tastes", m.Stats.Gates["taste"])
	require.Equal(t, "equal", m.Stats.Gates["schema"])
	require.Contains(t, m.Stats.Gates["performance"], "look-ups take")
}

// lame answers look-ups late.
type lame struct{ backends.Store }

type lameReader struct{ backends.Reader }

func (s lame) Read(ctx context.Context, fn func(backends.Reader) error) error {
	return s.Store.Read(ctx, func(r backends.Reader) error { return fn(lameReader{r}) })
}

func (r lameReader) Rows(keys []backends.Key) (map[backends.Key]backends.Row, error) {
	<-time.After(2 * fastEnough)
	return r.Reader.Rows(keys)
}

func TestSlowTargetIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	i := newWorld(t).instance(t, nil)
	id := i.storefront(t, 50)
	s, release, err := i.stores.Acquire(ctx, backends.Place{Backend: "one", Storefront: id, Epoch: 1})
	require.NoError(t, err)
	defer release()
	x := &run{Runner: i.runner, m: &Move{}, source: s, target: lame{s}}
	require.ErrorContains(t, x.checkPerformance(ctx), "the target answers 20 look-ups in counters")
	x.target = s
	require.NoError(t, x.checkPerformance(ctx))
}
