package migration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBlackoutsThatOverlapAreOne, and so are those that adjoin, with the reasons of all.
func TestBlackoutsThatOverlapAreOne(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	black := func(from, until int, reason string) Blackout { return Blackout{at(from), at(until), reason} }
	for name, c := range map[string]struct {
		all  Blackouts
		want *Blackout // nil: nothing holds at noon
	}{
		"none":                    {},
		"over":                    {all: Blackouts{black(1, 12, "")}},
		"ahead":                   {all: Blackouts{black(13, 14, "")}},
		"between two":             {all: Blackouts{black(1, 12, ""), black(13, 14, "")}},
		"one":                     {Blackouts{black(12, 14, "sale")}, new(black(12, 14, "sale"))},
		"two with a gap":          {Blackouts{black(1, 13, "sale"), black(14, 15, "")}, new(black(1, 13, "sale"))},
		"two that adjoin":         {Blackouts{black(1, 13, "sale"), black(13, 15, "rest")}, new(black(1, 15, "sale; rest"))},
		"two that overlap":        {Blackouts{black(1, 13, "sale"), black(2, 15, "")}, new(black(1, 15, "sale"))},
		"one within another":      {Blackouts{black(1, 15, "sale"), black(2, 13, "sale"), black(14, 16, "sale")}, new(black(1, 16, "sale"))},
		"one over within another": {Blackouts{black(1, 15, "sale"), black(2, 3, "rest")}, new(black(1, 15, "sale"))},
		"a chain":                 {Blackouts{black(1, 3, "over"), black(11, 13, "a"), black(13, 14, "b"), black(14, 15, "a"), black(16, 17, "c")}, new(black(11, 15, "a; b"))},
	} {
		got, ok := c.all.At(at(12))
		require.Equal(t, c.want != nil, ok, name)
		if ok {
			require.Equal(t, *c.want, got, name)
		}
	}
}

// TestABlackoutQuotesItsSeller: a reason can be any text.
func TestABlackoutQuotesItsSeller(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
	for reason, want := range map[string]string{
		"":                "the seller asked for no move until 2026-03-05T09:00:00Z",
		"Schlußverkauf":   `the seller asked for no move until 2026-03-05T09:00:00Z: "Schlußverkauf"`,
		"\x1b[2Ja\n\"b\"": `the seller asked for no move until 2026-03-05T09:00:00Z: "\x1b[2Ja\n\"b\""`,
	} {
		require.Equal(t, want, Blackout{Until: until, Reason: reason}.String())
	}
}
