package dedicatedpostgres

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNobodyWaitsLongerThanAsked: while the server keeps one silent, others may still go.
func TestNobodyWaitsLongerThanAsked(t *testing.T) {
	t.Parallel()
	b := &Backend{turn: make(chan struct{}, 1)}
	b.turn <- struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := b.connectionBudget(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
