package backends

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLatencies(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLatencies(func() time.Time { return now })
	for n := range 100 {
		l.Note("one", time.Duration(n+1)*time.Millisecond)
	}
	l.Note("two", time.Hour)

	_, requests := l.Quantile("one", 0.95, 10*time.Second)
	require.Zero(t, requests, "a second counts when it is over")
	now = now.Add(time.Second)
	p95, requests := l.Quantile("one", 0.95, 10*time.Second)
	require.Equal(t, 100, requests)
	require.InDelta(t, 95*time.Millisecond, p95, float64(7*time.Millisecond))
	longest, _ := l.Quantile("two", 1, 10*time.Second)
	require.Greater(t, longest, 50*time.Second)

	now = now.Add(10 * time.Second)
	_, requests = l.Quantile("one", 0.95, 10*time.Second)
	require.Zero(t, requests, "older than asked for")
	_, requests = l.Quantile("one", 0.95, time.Minute)
	require.Equal(t, 100, requests)
	l.Note("one", time.Millisecond)
	now = now.Add(time.Second)
	_, requests = l.Quantile("one", 0.95, time.Second)
	require.Equal(t, 1, requests)
	now = now.Add(time.Hour)
	l.Note("one", time.Millisecond)
	now = now.Add(time.Second)
	_, requests = l.Quantile("one", 0.95, time.Minute)
	require.Equal(t, 1, requests, "the ring's old seconds do not come back")
	_, requests = l.Quantile("nobody", 0.95, time.Minute)
	require.Zero(t, requests)
}
