// Package cache keeps a bounded number of things that are cheap to bring back.
package cache

import "sync"

// Cache remembers values by key. When it is full, any other one makes room: keys
// come from outside, and whoever sends many must not cost memory. Safe for concurrent
// use.
type Cache[K comparable, V any] struct {
	most int

	mu   sync.Mutex
	kept map[K]V
}

// New makes a cache of at most so many values, one or more.
func New[K comparable, V any](most int) *Cache[K, V] {
	return &Cache[K, V]{most: most, kept: map[K]V{}}
}

// Get finds a value; ok is false when it is not remembered.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok = c.kept[key]
	return value, ok
}

// Put remembers a value.
func (c *Cache[K, V]) Put(key K, value V) { c.Change(key, func(V) V { return value }) }

// Change makes a value of the one that is remembered, or of the zero value. Nobody
// else changes it meanwhile; change must not use the cache.
func (c *Cache[K, V]) Change(key K, change func(old V) V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, known := c.kept[key]
	if !known && len(c.kept) >= c.most {
		for victim := range c.kept {
			delete(c.kept, victim)
			break
		}
	}
	c.kept[key] = change(old)
}

// Drop forgets a value.
func (c *Cache[K, V]) Drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.kept, key)
}
