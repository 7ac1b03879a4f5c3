package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStockAddsUp: what is left and what was sold must be what there was.
func TestStockAddsUp(t *testing.T) {
	t.Parallel()
	of := func(quantity int64) []orderLine { return []orderLine{{VariantID: "v", Quantity: quantity}} }
	for name, c := range map[string]struct {
		happen func(s *stock) (wrong string)
		wants  string
	}{
		"drained": {func(s *stock) string {
			for range 3 {
				s.ordering(of(2))
				s.acknowledged(of(2))
			}
			s.ordering(of(2))
			return s.refused(of(2), s.sold(of(2)), refusal{"v", 2, 1})
		}, ""},
		"refused although enough is left": {func(s *stock) string {
			s.ordering(of(2))
			return s.refused(of(2), s.sold(of(2)), refusal{"v", 2, 2})
		}, "although 2 are left"},
		"nothing was ever there": {func(s *stock) string {
			s.ordering(of(2))
			return s.refused(of(2), s.sold(of(2)), refusal{"v", 2, 0})
		}, "at least 1"},
		"an order that is under way may have taken it": {func(s *stock) string {
			s.ordering(of(1))
			s.ordering(of(2))
			return s.refused(of(2), s.sold(of(2)), refusal{"v", 2, 0})
		}, ""},
		"a sale that was lost": {func(s *stock) string {
			s.ordering(of(5))
			s.acknowledged(of(5))
			s.ordering(of(2))
			require.Empty(t, s.refused(of(2), s.sold(of(2)), refusal{"v", 2, 0}))
			s.ordering(of(2))
			return s.refused(of(2), s.sold(of(2)), refusal{"v", 2, 1})
		}, "at least 6 in the beginning"},
		"sold twice": {func(s *stock) string {
			s.ordering(of(5))
			s.acknowledged(of(5))
			s.ordering(of(2))
			require.Empty(t, s.refused(of(2), s.sold(of(2)), refusal{"v", 2, 1}))
			s.ordering(of(1))
			s.acknowledged(of(1))
			s.ordering(of(1))
			s.acknowledged(of(1))
			s.ordering(of(1))
			return s.refused(of(1), s.sold(of(1)), refusal{"v", 1, 0})
		}, "at least 7 in the beginning"},
	} {
		s := newStock()
		s.offer("v")
		wrong := c.happen(s)
		if c.wants == "" {
			require.Empty(t, wrong, name)
			continue
		}
		require.Contains(t, wrong, c.wants, name)
	}
}
