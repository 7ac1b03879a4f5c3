package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
)

// TestVerifyFromOutside: a move that is bound to a window cuts over within it, both
// places are compared on demand, and a row that differs is an alarm that says what to do.
func TestVerifyFromOutside(t *testing.T) {
	t.Parallel()
	p := install(t)
	id := p.create(t, "toys", "files-1")
	_, in, _ := p.ask(t, "POST", "toys/auth/register", "", credentials())
	out, code := p.command(t, "move", "start", "toys", "files-2", "--window", "late")
	require.Equal(t, 65, code, out)
	require.Contains(t, out, "such as 02:00-05:00")
	out, code = p.command(t, "backend", "capacity", "files-2", "10")
	require.Equal(t, 73, code, out)

	p.must(t, "move", "start", "toys", "files-2", "--window", "00:00-23:59", "--time-zone", "Europe/Berlin")
	p.must(t, "move", "watch", "toys", "--until", "watching")
	shown := p.must(t, "move", "show", "toys")
	require.Contains(t, shown, "only 00:00-23:59 Europe/Berlin")
	require.Contains(t, shown, "open: 00:00-23:59 Europe/Berlin, at")
	require.Contains(t, shown, "free at the target (on the folder's file system)")
	require.Contains(t, shown, "1 sessions and the passwords of 1 customers work at the target")
	p.must(t, "storefront", "create", "books", "files-1", "--time-zone", "Asia/Tokyo")
	p.must(t, "move", "start", "books", "files-2", "--window", "00:00-23:59")
	require.Contains(t, p.must(t, "move", "show", "books"), "only 00:00-23:59 Asia/Tokyo", "its own zone, where none is said")

	require.Contains(t, p.must(t, "move", "verify", "toys"), "both places compared: equal")
	p.corrupt(t, backends.Place{Backend: "files-1", Storefront: backends.StorefrontID(id), Epoch: 1},
		`UPDATE customers SET first_name = first_name || 'x' WHERE id = $1`, in.Customer.ID)
	out, code = p.command(t, "move", "verify", "toys")
	require.Equal(t, 73, code, out)
	require.Contains(t, out, "customers "+in.Customer.ID+" differs: columns first_name")
	out = p.must(t, "move", "explain", "toys")
	require.Contains(t, out, "ALARM")
	require.Contains(t, out, "Do not roll back")
	p.must(t, "move", "finalize", "toys")
	require.Contains(t, p.must(t, "move", "watch", "toys"), "completed")
}
