package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/e2e/load"
)

// TestDrillFromOutside: an exercise is planned for later, taken back, and held at once, under
// load, by a server that dies while the storefront lives at the new place and on the way back.
func TestDrillFromOutside(t *testing.T) {
	t.Parallel()
	p := install(t, "SMARTSELLER_MOVE_LEASE=1s", "SMARTSELLER_LOG_LEVEL=warn")
	p.create(t, "toys", "files-1")
	for args, code := range map[string]int{"--drill=1s --rehearse": 64, "--drill=-5s": 65, "--drill=soon": 64, "--at=tomorrow": 64} {
		out, got := p.command(t, append([]string{"move", "start", "toys", "files-2"}, strings.Fields(args)...)...)
		require.Equal(t, code, got, "%s: %s", args, out)
	}
	p.must(t, "move", "start", "toys", "files-2", "--drill", "1s", "--at", time.Now().Add(time.Hour).Format(time.RFC3339))
	require.Contains(t, p.must(t, "move", "explain", "toys"), "begins in ")
	p.must(t, "move", "cancel", "toys")
	out, code := p.command(t, "move", "watch", "toys")
	require.Equal(t, 73, code, "it has not passed")
	require.Contains(t, out, "cancelled")

	out = p.must(t, "move", "start", "toys", "files-2", "--dry-run")
	require.Contains(t, out, "expected: verified after 10s, writes wait 250ms")
	require.Contains(t, out, "assumed, since no move from sqlite to sqlite has been measured")

	l := p.crowd(t, "toys", func(o *load.Options) { o.Restarts = true })
	l.Start(context.Background())
	reached(t, l, 5)
	p.arm(t, "K16")
	p.must(t, "move", "start", "toys", "files-2", "--drill", "1s", "--unpaced", "--reason", "an exercise")
	for _, next := range []string{"K13", ""} {
		p.diesAt(t, "a point of the drill")
		p.arm(t, next)
		p.launch(t)
		p.answers(t) // or dies again before
	}
	out = p.must(t, "move", "watch", "toys")
	require.Contains(t, out, "rolled_back")
	require.Contains(t, out, "passed: brought back with nothing lost")
	require.Regexp(t, `it took +verified after .* at the target`, out)
	require.Contains(t, p.must(t, "move", "start", "toys", "files-2", "--dry-run"), "the drill of this storefront before, the same way")
	require.Contains(t, p.must(t, "move", "show", "toys", "--json"), `"passed": true`)
	require.Contains(t, p.must(t, "storefront", "show", "toys"), "files-1 (epoch 3)")
	reached(t, l, 5)
	l.Stop()
	require.NoError(t, l.Verify(context.Background()))
}
