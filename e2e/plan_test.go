package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// plan is what `plan show --json` prints first.
type plan struct {
	ID, State, Cause string
	Total            int
	Moves            map[string]int
}

func (p *program) planOf(t *testing.T, id string) (found plan) {
	t.Helper()
	first, _, _ := strings.Cut(p.must(t, "plan", "show", id, "--json"), "\n")
	require.NoError(t, json.Unmarshal([]byte(first), &found))
	return found
}

func (p *program) untilPlan(t *testing.T, id string, wanted func(plan) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return wanted(p.planOf(t, id)) }, patience, glance, "the plan does not get on")
}

// TestAPlanOutlivesRestarts: three storefronts, the process killed in the middle and
// stopped once, and each moves exactly once.
func TestAPlanOutlivesRestarts(t *testing.T) {
	t.Parallel()
	p := install(t)
	for _, slug := range []string{"toys", "books"} {
		p.must(t, "storefront", "create", slug, "files-1")
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.folder, "policy.yaml"), []byte("rules:\n  - name: out\n    any: [bytes < 1 TiB]\n    from: files-1\n    to: files-2\n"), 0o600))
	require.Eventually(t, func() bool {
		return strings.Contains(p.must(t, "plan", "propose", "--policy", "policy.yaml"), "3 moves proposed")
	}, patience, glance)

	foretold := p.must(t, "plan", "simulate", "--policy", "policy.yaml")
	require.Contains(t, foretold, "3 of 3 storefronts move in 2 waves")
	require.Contains(t, foretold, "NOT MEASURED: no move from sqlite to sqlite has completed here yet")
	made := p.must(t, "plan", "simulate", "--synthetic", "5000", "--seed", "3", "--json")
	require.Equal(t, made, p.must(t, "plan", "simulate", "--synthetic", "5000", "--seed", "3", "--json"))
	id := strings.Fields(p.must(t, "plan", "create", "--policy", "policy.yaml", "--per-backend", "1", "--window", "1", "--at-once", "--unpaced"))[0]
	require.Equal(t, "proposed", p.planOf(t, id).State)
	p.arm(t, "K7")
	p.must(t, "plan", "approve", id)
	p.diesAt(t, "K7")
	p.arm(t, "")
	p.serve(t)
	p.untilPlan(t, id, func(one plan) bool { return one.Moves["waiting"] < 2 })
	p.stop(t)
	p.serve(t)
	p.untilPlan(t, id, func(one plan) bool { return one.State == "completed" })
	require.Equal(t, map[string]int{"done": 3}, p.planOf(t, id).Moves)
	require.Equal(t, 3, strings.Count(p.must(t, "storefront", "list"), "files-2 (epoch 2)"))
	require.Equal(t, 3, strings.Count(p.must(t, "move", "list"), "completed"))
	require.Contains(t, p.must(t, "plan", "list"), "3 done")
	require.Contains(t, p.must(t, "plan", "simulate", "toys=files-1"), "from 3 moves")
	require.Contains(t, p.must(t, "plan", "propose", "--policy", "policy.yaml"), "0 moves proposed")
}

// storefrontStatistics are what the admin API says is known of a storefront.
type storefrontStatistics struct {
	Slug     string
	Requests float64 `json:"requests_per_second"`
	Writes   float64 `json:"writes_per_second"`
	Tables   map[string]struct{ Rows int64 }
}

// TestStatisticsOfAStorefront: its rows are counted once, and what customers add is noted
// without a further count.
func TestStatisticsOfAStorefront(t *testing.T) {
	t.Parallel()
	p := install(t)
	p.create(t, "toys", "files-1")
	p.offers(t, "toys", item{handle: "s", inventory: 20, sizes: []string{"S"}})
	shows := func(lines ...string) {
		t.Helper()
		var shown struct{ text string }
		require.Eventually(t, func() bool {
			shown.text = p.must(t, "plan", "statistics", "toys")
			return !slices.ContainsFunc(lines, func(l string) bool { return !regexp.MustCompile("(?m)^" + l + "$").MatchString(shown.text) })
		}, patience, 25*glance, "%q are not all in %s", lines, &shown)
	}
	shows(`p95 \d+ ms, last request .*, counted 2.*`, ` +0 +0 bytes  customers`, ` +0 +0 bytes  orders`, ` +[1-9]\d* +\d+ bytes  products`)
	token := p.comesIn(t, "ada")
	p.comesIn(t, "eve")
	var o order
	status, _ := p.askInto(t, &o, "POST", "toys/orders", token, wants(p.variants(t, "toys")["s S"], 3))
	require.Equal(t, http.StatusCreated, status, o.Detail)
	shows(`toys +files-1 +\d+ rows .* requests/s .* writes/s`, ` +2 +\d+ bytes  customers`, ` +1 +\d+ bytes  orders`)

	var all struct{ Data []storefrontStatistics }
	require.Equal(t, http.StatusOK, p.admin(t, "GET", "statistics?limit=100", nil, &all))
	at := slices.IndexFunc(all.Data, func(s storefrontStatistics) bool { return s.Slug == "toys" })
	require.GreaterOrEqual(t, at, 0, "%+v", all)
	require.EqualValues(t, 2, all.Data[at].Tables["customers"].Rows)
	require.EqualValues(t, 1, all.Data[at].Tables["orders"].Rows)
	require.Greater(t, all.Data[at].Requests, all.Data[at].Writes)
	require.Positive(t, all.Data[at].Writes)
}

// TestAnotherInstanceCarriesThePlanOn when the one that works dies, over one control
// database; the dead one comes back and does no harm.
func TestAnotherInstanceCarriesThePlanOn(t *testing.T) {
	t.Parallel()
	settings := []string{"SMARTSELLER_MOVE_LEASE=2s", "SMARTSELLER_CONTROL=" + pgtest.Database(t)}
	first := install(t, settings...)
	second := prepare(t, settings...)
	second.folder = first.folder
	second.serve(t)
	moves := []string{"demo=files-2"}
	for _, slug := range []string{"toys", "books", "tools"} {
		first.must(t, "storefront", "create", slug, "files-1")
		moves = append(moves, slug+"=files-2")
	}
	args := append([]string{"plan", "create", "--automatic", "--at-once", "--per-backend", "2", "--window", "1"}, moves...)
	first.arm(t, "K7")
	second.arm(t, "K7")
	id := strings.Fields(first.must(t, args...))[0]
	dead, alive := first, second
	select {
	case <-first.ended:
	case <-second.ended:
		dead, alive = second, first
	case <-time.After(patience):
		require.Fail(t, "nobody got there")
	}
	alive.arm(t, "")
	dead.arm(t, "")
	require.False(t, alive.dead(), "it was disarmed in time")
	alive.untilPlan(t, id, func(one plan) bool { return one.Moves["done"]+one.Moves["moved"] > 0 })
	dead.serve(t)
	alive.untilPlan(t, id, func(one plan) bool { return one.State == "completed" })
	require.Equal(t, map[string]int{"done": 4}, dead.planOf(t, id).Moves)
	require.Equal(t, 4, strings.Count(alive.must(t, "storefront", "list"), "files-2 (epoch 2)"))
	require.Equal(t, 4, strings.Count(alive.must(t, "move", "list"), "completed"))
}

func TestPlanErrors(t *testing.T) {
	t.Parallel()
	p := install(t)
	require.NoError(t, os.WriteFile(filepath.Join(p.folder, "wrong.yaml"), []byte("rules:\n  - name: out\n    too: files-2\n"), 0o600))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"plan", "propose"}, 64, "--policy"},
		{[]string{"plan", "propose", "--policy", "absent.yaml"}, 66, "absent.yaml"},
		{[]string{"plan", "propose", "--policy", "wrong.yaml"}, 65, "line 3: too: there is no such key here; there are all, any, from, name, to"},
		{[]string{"plan", "create"}, 65, "either of a policy or of chosen moves"},
		{[]string{"plan", "create", "nobody=files-2"}, 65, "/moves/0/storefront: there is no such storefront"},
		{[]string{"plan", "create", "demo=nowhere"}, 65, "/moves/0/target: there is no backend of that name"},
		{[]string{"plan", "create", "demo"}, 65, "must be STOREFRONT=BACKEND, such as demo=files-2"},
		{[]string{"plan", "create", "demo=files-2", "--cutover-window", "2-5"}, 65, "/options/cutover_window"},
		{[]string{"plan", "create", "demo=files-2", "--wave-size", "0"}, 65, "/options/wave_size"},
		{[]string{"plan", "create", "demo=files-2", "--per-backend", "0"}, 65, "/options/per_backend"},
		{[]string{"plan", "create", "demo=files-2", "--window", "0"}, 65, "/options/window_seconds"},
		{[]string{"plan", "create", "demo=files-2", "--pace", "0"}, 65, "/options/pace_percent"},
		{[]string{"plan", "create", "demo=files-2", "--canaries", "0", "--soak", "60"}, 65, "/options/soak_seconds"},
		{[]string{"plan", "simulate", "demo=files-2", "--instances", "0"}, 65, "instances"},
		{[]string{"plan", "simulate"}, 65, "either of a policy or of chosen moves"},
		{[]string{"plan", "simulate", "--plan", "nothing"}, 66, "no such plan"},
		{[]string{"plan", "simulate", "--plan", "nothing", "--wave-size", "20"}, 65, "/options"},
		{[]string{"plan", "simulate", "demo=files-2", "--synthetic", "5"}, 65, "/synthetic"},
		{[]string{"plan", "simulate", "--synthetic", "5000000"}, 65, "synthetic"},
		{[]string{"plan", "show", "nothing"}, 66, "no such plan"},
		{[]string{"plan", "approve", "0193b3a0-0000-7000-8000-000000000001"}, 66, "no such plan"},
	} {
		out, code := p.command(t, c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, out)
		require.Contains(t, out, c.says, "%v", c.args)
	}
	said := p.must(t, "plan", "create", "demo=files-2", "--canaries", "0")
	id := strings.Fields(said)[0]
	require.Contains(t, said, "begins when it is approved: smartseller plan approve "+id)
	require.Contains(t, p.must(t, "plan", "show", id, "--json"), `"canaries":0`)
	out, code := p.command(t, "plan", "resume", id)
	require.Equal(t, 73, code)
	require.Contains(t, out, "The plan is proposed; resume is not possible now.")
	out, code = p.command(t, "plan", "create", "demo=files-2")
	require.Equal(t, 65, code, out)
	require.Contains(t, out, "another plan is about to move it")
	p.must(t, "plan", "cancel", id)
	p.untilPlan(t, id, func(one plan) bool { return one.State == "cancelled" })
	require.Contains(t, p.must(t, "storefront", "list"), "files-1 (epoch 1)")
}
