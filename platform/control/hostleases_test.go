package control_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/control"
)

// TestEachHostHasALease beside the one of all: an instance gets that of its own host at most.
func TestEachHostHasALease(t *testing.T) {
	onEachEngine(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		db := open(t, dsn)
		of := func(name, host string) *control.HostLeases {
			return &control.HostLeases{DB: db, Work: "work", Holder: name, Host: host, Life: time.Hour}
		}
		holds := func(h *control.HostLeases, hosts ...string) []string {
			held, err := h.Hold(ctx, hosts)
			require.NoError(t, err)
			return slices.Sorted(maps.Keys(held))
		}
		here, beside, there, nowhere := of("one", "here"), of("two", "here"), of("three", "there"), of("four", "")
		require.Equal(t, []string{"here"}, holds(here, "here", "there"), "no more than it asks for")
		require.Equal(t, []string{""}, holds(beside, "", "here", "there"))
		require.Equal(t, []string{"", "here"}, slices.Sorted(slices.Values(append(holds(here, "here"), holds(beside, "")...))), "each keeps its own")
		require.Equal(t, []string{"there"}, holds(there, "", "here", "there"))
		require.Empty(t, holds(nowhere, "", "here", "there"))
		require.NoError(t, beside.Release(ctx))
		require.Equal(t, []string{""}, holds(nowhere, "", "here", "there"))
		require.NoError(t, here.Release(ctx))
		require.Equal(t, []string{"here"}, holds(beside, "", "here"))
	})
}
