package load

import (
	"fmt"
	"math"
	"sync"
)

// stock is what the load knows of how many there are of each variant. Nothing comes
// in, so at any time what was sold and what is left add up to what there was in the
// beginning: a sale that is lost, or made twice, does not. Safe for concurrent use.
type stock struct {
	mu       sync.Mutex
	variants map[string]*shelf
}

// shelf is one variant. In the beginning there were at least low of it and at most
// high.
type shelf struct {
	sold, open int64 // acknowledged; ordered, with no answer yet
	low, high  int64
}

// refusal is what the server says when too little is left.
type refusal struct {
	variant      string
	wanted, left int64
}

func newStock() *stock { return &stock{variants: map[string]*shelf{}} }

// offer notes a variant of which at least one is there.
func (s *stock) offer(variant string) {
	s.variants[variant] = &shelf{low: 1, high: math.MaxInt64}
}

// ordering notes an order on its way.
func (s *stock) ordering(lines []orderLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lines {
		s.variants[l.VariantID].open += l.Quantity
	}
}

// sold tells what was sold for sure of the variants of an order that is on its way.
func (s *stock) sold(lines []orderLine) map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sold := map[string]int64{}
	for _, l := range lines {
		sold[l.VariantID] = s.variants[l.VariantID].sold
	}
	return sold
}

// acknowledged notes that an order was taken.
func (s *stock) acknowledged(lines []orderLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lines {
		v := s.variants[l.VariantID]
		v.open -= l.Quantity
		v.sold += l.Quantity
		v.low = max(v.low, v.sold)
	}
}

// refused notes that an order was not taken, and says what is wrong with the
// reason; "" when it adds up. before is what was sold when the order was sent.
func (s *stock) refused(lines []orderLine, before map[string]int64, r refusal) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lines {
		s.variants[l.VariantID].open -= l.Quantity
	}
	if r.left >= r.wanted {
		return fmt.Sprintf("%d of variant %s were refused although %d are left", r.wanted, r.variant, r.left)
	}
	v := s.variants[r.variant]
	v.low = max(v.low, before[r.variant]+r.left)
	v.high = min(v.high, v.sold+v.open+r.left)
	if v.low > v.high {
		return fmt.Sprintf("of variant %s there were at least %d in the beginning, but now %d are left of at most %d", r.variant, v.low, r.left, v.high)
	}
	return ""
}
