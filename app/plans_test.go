package app

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/fault"
)

// TestAPlannedMoveNamesBoth, the storefront and where it goes: what does not is refused unasked.
func TestAPlannedMoveNamesBoth(t *testing.T) {
	t.Parallel()
	body, err := (&planned{Moves: []string{"demo=files-2", "toys=files-1"}}).body()
	require.NoError(t, err)
	require.Equal(t, []map[string]string{{"storefront": "demo", "target": "files-2"}, {"storefront": "toys", "target": "files-1"}}, body["moves"])
	for _, wrong := range []string{"demo", "demo=", "=files-2", "=", ""} {
		_, err := (&planned{Moves: []string{"toys=files-1", wrong}}).body()
		require.ErrorContains(t, err, `"`+wrong+`" must be STOREFRONT=BACKEND`)
		require.Equal(t, 65, fault.Of(err).Kind.Meaning().Exit)
	}
}

// TestPlansAreAskedForAsTheyWereGiven: defaults are the server's, which refuses options beside a
// plan that has its own.
func TestPlansAreAskedForAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	var said map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said = nil
		_ = json.NewDecoder(r.Body).Decode(&said)
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	for _, c := range []struct {
		args []string
		want map[string]any
	}{
		{[]string{"create", "toys=pg-1"}, map[string]any{}},
		{[]string{"simulate", "--plan", "p"}, map[string]any{}},
		{[]string{"simulate", "--plan", "p", "--canaries", "1"}, map[string]any{"canaries": 1.0}},
		{
			[]string{"create", "toys=pg-1", "--canaries", "0", "--wave-size", "0", "--priority", "risk", "--unpaced", "--soak", "0"},
			map[string]any{"canaries": 0.0, "wave_size": 0.0, "priority": "risk", "unpaced": true, "soak_seconds": 0.0},
		},
		{
			[]string{"simulate", "--synthetic", "9", "--per-backend", "3", "--pace", "50", "--window", "60", "--failure-budget", "2", "--cutover-window", "02:00-05:00", "--at-once"},
			map[string]any{"per_backend": 3.0, "pace_percent": 50.0, "window_seconds": 60.0, "failure_budget": 2.0, "cutover_window": "02:00-05:00", "at_once": true},
		},
	} {
		var out, errs bytes.Buffer
		require.Zero(t, Main(append([]string{"plan"}, append(c.args, "--url", server.URL, "--token", "token")...), &out, &errs), errs.String())
		require.Equal(t, c.want, said["options"], "%v", c.args)
	}
}

// TestWhatIsSaidOfPlans: a note is no measure, and a list that is cut says so.
func TestWhatIsSaidOfPlans(t *testing.T) {
	t.Parallel()
	said := forecast{Assumptions: []string{"10 s are assumed"}, Notes: []string{"3 moves would never begin"}}.String()
	require.Contains(t, said, "\nNOT MEASURED: 10 s are assumed\nNOTE: 3 moves would never begin\n")

	const cut = "only the first"
	var p proposals
	require.NoError(t, json.Unmarshal([]byte(`{"proposals":[{"slug":"toys"},{"slug":"books"}],"unplaced":[{"slug":"tea"}],"proposals_total":2,"unplaced_total":1}`), &p))
	require.NotContains(t, p.String(), cut)
	p.Total = 1001
	require.Contains(t, p.String(), "only the first 2 moves and 1 without room are shown")
	p.Total, p.Without = 2, 2
	require.Contains(t, p.String(), cut)
}
