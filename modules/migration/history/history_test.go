package history

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// told is one operation of a history that is told by hand: when it was asked and
// answered; an answer of 0 never came.
type told struct {
	call, answer time.Duration
	saw, wrote   string // "-" for none
}

func tell(operations ...told) *History {
	h := &History{}
	for i, t := range operations {
		o := &Operation{history: h, client: i, key: "row", call: t.call, answer: t.answer}
		if t.answer > 0 {
			o.outcome = done
		}
		if t.saw != "-" {
			o.saw = &t.saw
		}
		if t.wrote != "-" {
			o.wrote = &t.wrote
		}
		h.operations = append(h.operations, o)
	}
	return h
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		history *History
		broken  bool
	}{
		"nothing":                                  {tell(), false},
		"a read after a write":                     {tell(told{1, 2, "-", "a"}, told{3, 4, "a", "-"}), false},
		"a lost write":                             {tell(told{1, 2, "-", "a"}, told{3, 4, "-", "b"}, told{5, 6, "a", "-"}), true},
		"a lost insert":                            {tell(told{1, 2, "-", "a"}, told{3, 4, Absent, "-"}), true},
		"a delete that comes back":                 {tell(told{1, 2, "-", "a"}, told{3, 4, "-", Absent}, told{5, 6, "a", "-"}), true},
		"a write seen early":                       {tell(told{1, 2, "a", "-"}, told{3, 4, "-", "a"}), true},
		"side by side, either order":               {tell(told{1, 9, "-", "a"}, told{1, 9, "-", "b"}, told{10, 11, "a", "-"}), false},
		"seen, then unseen":                        {tell(told{1, 20, "-", "a"}, told{2, 3, "a", "-"}, told{4, 5, Absent, "-"}), true},
		"two that saw the same and both changed":   {tell(told{1, 2, "-", "a"}, told{3, 9, "a", "b"}, told{3, 9, "a", "c"}), true},
		"one after the other":                      {tell(told{1, 2, "-", "a"}, told{3, 9, "a", "b"}, told{3, 9, "b", "c"}), false},
		"without an answer, and it happened":       {tell(told{1, 2, "-", "a"}, told{3, 0, "a", "b"}, told{5, 6, "b", "-"}), false},
		"without an answer, and it did not":        {tell(told{1, 2, "-", "a"}, told{3, 0, "a", "b"}, told{5, 6, "a", "-"}), false},
		"without an answer, and it came late":      {tell(told{1, 2, "-", "a"}, told{3, 0, "-", "b"}, told{5, 6, "a", "-"}, told{7, 8, "b", "-"}), false},
		"without an answer, but it came and went":  {tell(told{1, 2, "-", "a"}, told{3, 0, "-", "b"}, told{5, 6, "b", "-"}, told{7, 8, "a", "-"}), true},
		"without an answer, where it could not be": {tell(told{1, 2, "-", "a"}, told{3, 0, "x", "b"}, told{5, 6, "b", "-"}), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.history.Check()
			if c.broken {
				require.ErrorContains(t, err, "row: no order of its")
				return
			}
			require.NoError(t, err)
		})
	}
}

// TestCheckFindsOneStaleRead plays clients against one true row, and turns a single
// read of a long history stale.
func TestCheckFindsOneStaleRead(t *testing.T) {
	t.Parallel()
	h := &History{}
	now := Absent
	stale := ""
	for n := range 2000 {
		o := h.Begin(n%8, "row")
		switch {
		case n == 1500:
			o.Saw(stale)
		case rand.N(2) == 0:
			o.Saw(now)
		default:
			now = strconv.Itoa(n)
			o.Wrote(now)
		}
		if n == 700 {
			stale = now
		}
		o.Done()
	}
	require.ErrorContains(t, h.Check(), "do not fit")
	asked, acknowledged := h.Size()
	require.Equal(t, []int{2000, 2000}, []int{asked, acknowledged})
	h.operations = append(h.operations[:1500], h.operations[1501:]...)
	require.NoError(t, h.Check())
}

func TestRefusedOperationsDoNotCount(t *testing.T) {
	t.Parallel()
	h := &History{}
	o := h.Begin(0, "row")
	o.Wrote("a")
	o.Refused()
	o = h.Begin(0, "row")
	o.Saw("a")
	o.Done()
	require.Error(t, h.Check())
}

func TestJournal(t *testing.T) {
	t.Parallel()
	j := &Journal{}
	for _, id := range []string{"kept", "removed", "unknown", "refused", "half removed"} {
		j.Adding(id)
	}
	j.Added("kept")
	j.Added("removed")
	j.Refused("refused")
	j.Removing("removed")
	j.Removed("removed")
	j.Added("half removed")
	j.Removing("half removed")
	require.Equal(t, 1, j.Certain())
	require.NoError(t, j.Check([]string{"kept"}))
	require.NoError(t, j.Check([]string{"kept", "unknown", "half removed"}))
	require.ErrorContains(t, j.Check(nil), "kept was acknowledged and is missing")
	require.ErrorContains(t, j.Check([]string{"kept", "removed"}), "is back")
	require.ErrorContains(t, j.Check([]string{"kept", "refused"}), "nobody added it")
	require.ErrorContains(t, j.Check([]string{"kept", "stranger"}), "nobody added it")
	require.ErrorContains(t, j.Check([]string{"kept", "kept"}), "twice")
}
