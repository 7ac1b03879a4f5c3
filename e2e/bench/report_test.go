package main

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChosenMeasurements(t *testing.T) {
	t.Parallel()
	all, err := chosen("")
	require.NoError(t, err)
	require.Len(t, all, len(measurements))
	one, err := chosen("cutovers")
	require.NoError(t, err)
	require.Len(t, one, 1)
	_, err = chosen("cutover's")
	require.ErrorContains(t, err, "moves, transactions, growth, neighbours, cutovers, pacing")
}

// TestMissedTargets: a figure for comparison only is no target.
func TestMissedTargets(t *testing.T) {
	t.Parallel()
	r := &report{}
	for name, target := range map[string]float64{"missed": 1, "held": 3, "for comparison": 0} {
		r.add(figure{Name: name, Ours: 2, Peer: 1, Target: target})
	}
	require.ErrorContains(t, r.finish(io.Discard, filepath.Join(t.TempDir(), "bench.json")), "1 of 2 targets missed")
}
