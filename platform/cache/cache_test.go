package cache_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/cache"
)

// TestAtMost: a new key takes another's place, one that is known nobody's.
func TestAtMost(t *testing.T) {
	t.Parallel()
	c := cache.New[int, string](2)
	for key := range 100 {
		c.Put(key, "first")
		c.Put(key, "second")
		value, ok := c.Get(key)
		require.True(t, ok)
		require.Equal(t, "second", value)
		kept := 0
		for other := range 100 {
			if _, ok := c.Get(other); ok {
				kept++
			}
		}
		require.Equal(t, min(key+1, 2), kept)
	}
	c.Drop(99)
	_, ok := c.Get(99)
	require.False(t, ok)
}

func TestChangesSideBySide(t *testing.T) {
	t.Parallel()
	c := cache.New[string, int](1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				c.Change("n", func(n int) int { return n + 1 })
			}
		})
	}
	wg.Wait()
	n, _ := c.Get("n")
	require.Equal(t, 800, n)
}
