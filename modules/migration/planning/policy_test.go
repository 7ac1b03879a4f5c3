package planning_test

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration/planning"
	"smartseller/platform/fault"
)

var vocabulary = planning.Vocabulary{
	Tables: []string{"customers", "orders"},
	Backends: map[string]backends.Kind{
		"shared-1": backends.SharedPostgres, "shared-2": backends.SharedPostgres, "pg": backends.DedicatedPostgres,
		"files": backends.SQLite, "files-2": backends.SQLite,
	},
}

// sample is the policy that README.md shows.
func sample(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, found, "README.md shows a policy")
	return string(found[1])
}

func TestTheSamplePolicyIsUnderstood(t *testing.T) {
	t.Parallel()
	p, err := planning.ParsePolicy(sample(t), vocabulary)
	require.NoError(t, err)
	require.Equal(t, &planning.Policy{
		CoolDown: 7 * 24 * time.Hour, Hysteresis: 0.2, Above: 0.8,
		Rules: []planning.Rule{{
			Name: "large", To: []string{"pg"}, When: []planning.Condition{
				{Measure: "customers", Threshold: 50_000, Text: "customers > 50000"},
				{Measure: "writes_per_second", Threshold: 20, Text: "writes_per_second > 20"},
			},
		}, {
			Name: "sleepy", All: true, From: []string{"shared-1", "shared-2"}, To: []string{"files", "files-2"}, When: []planning.Condition{
				{Measure: "customers", Less: true, Threshold: 500, Text: "customers < 500"},
				{Measure: "bytes", Less: true, Threshold: 64 << 20, Text: "bytes < 64 MiB"},
				{Measure: "idle", Threshold: 30 * 86400, Text: "idle > 30d"},
			},
		}},
		Capacities: map[string]map[string]float64{
			"shared-1": {"storefronts": 2000, "bytes": 200 << 30, "writes_per_second": 1500},
			"shared-2": {"storefronts": 2000, "bytes": 200 << 30, "writes_per_second": 1500},
		},
	}, p)
	require.Equal(t, []string{"customers"}, p.Tables())
}

// TestPolicyErrorsNameLineAndKey: nothing is guessed.
func TestPolicyErrorsNameLineAndKey(t *testing.T) {
	t.Parallel()
	const rule = "rules:\n  - name: a\n    to: pg\n"
	for name, c := range map[string]struct{ text, says string }{
		"nothing":                {"", "line 1: the policy is empty"},
		"a list":                 {"- a", "line 1: must hold keys and values"},
		"not YAML":               {"rules:\n\t- a", "line 2: is not well-formed YAML"},
		"two documents":          {"cool_down: 7d\n---\ncool_down: 7d", "one document"},
		"no rule":                {"cool_down: 7d", "proposes nothing"},
		"unknown key":            {"cool_down: 7d\ncooldown: 7d", "line 2: cooldown: there is no such key here; there are cool_down, hysteresis, rebalance, rules"},
		"a key twice":            {"cool_down: 7d\ncool_down: 8d", "line 2: cool_down: is given a second time, first in line 1"},
		"no unit":                {"cool_down: 7", "line 1: cool_down: must be hours or days"},
		"a null":                 {"cool_down:", "line 1: cool_down: must have one plain value"},
		"not per cent":           {"hysteresis: 0.2", "line 1: hysteresis: must be per cent"},
		"too much":               {"hysteresis: 100%", "line 1: hysteresis: must be from 1% to 99%"},
		"rules are one":          {"rules: a", "line 1: rules: must be a list"},
		"no name":                {"rules:\n  - to: pg\n    all: [rows > 1]", "line 2: name: is missing"},
		"no target":              {"rules:\n  - name: a\n    all: [rows > 1]", "line 2: to: is missing"},
		"no condition":           {rule, "line 2: all: is missing, or any"},
		"no condition in it":     {rule + "    all: []", "line 4: all: must be a list of conditions"},
		"both":                   {rule + "    all: [rows > 1]\n    any: [rows > 1]", "line 5: a rule has either all or any"},
		"a name twice":           {"rules:\n  - {name: a, to: pg, all: [rows > 1]}\n  - {name: a, to: pg, all: [rows > 1]}", "line 3: name: another rule"},
		"unknown key in a rule":  {rule + "    when: [rows > 1]", "line 4: when: there is no such key"},
		"nowhere":                {"rules:\n  - name: a\n    to: moon", `line 3: to: "moon" is neither a kind`},
		"a measure unknown":      {rule + "    all:\n      - rows > 1\n      - clients > 1", `line 6: all: "clients" is no measure`},
		"a condition of words":   {rule + "    all: [many customers]", "line 4: all: must be MEASURE > NUMBER"},
		"a negative one":         {rule + "    all: [rows > -1]", "line 4: all: must be MEASURE > NUMBER"},
		"idle without a unit":    {rule + "    all: [idle > 30]", "line 4: all: idle wants a number with h or d"},
		"bytes in days":          {rule + "    all: [bytes > 30d]", "line 4: all: bytes wants a number, or one with KiB"},
		"rows in GiB":            {rule + "    all: [rows > 3 GiB]", "line 4: all: rows wants a number"},
		"rebalance without":      {"rebalance:\n  above: 80%", "line 2: rebalance: wants above, such as 80%, and capacities"},
		"capacity of nobody":     {"rebalance:\n  above: 80%\n  capacities:\n    moon: {rows: 1}", "line 4: moon: there is no such key"},
		"capacity of nothing":    {"rebalance:\n  above: 80%\n  capacities:\n    pg: {rows: 0}", "line 4: rows: must be above zero"},
		"a capacity of none":     {"rebalance:\n  above: 80%\n  capacities:\n    pg: {}", "line 4: pg: names no capacity"},
		"below zero":             {rule + "    all: [bytes < 0]", "line 4: all: bytes is never below zero"},
		"a rule that never is":   {rule + "    all: [rows > 9, rows < 9]", "line 2: all: rows > 9 and rows < 9 never hold together"},
		"the place's own":        {rule + "    all: [p95_ms > 9]", "line 1: cool_down: is missing: p95_ms is what a storefront meets where it is"},
		"capacity for a measure": {"rebalance:\n  above: 80%\n  capacities:\n    pg: {idle: 3d}", "line 4: idle: there is no such key"},
	} {
		_, err := planning.ParsePolicy(c.text, vocabulary)
		require.Error(t, err, name)
		f := fault.Of(err)
		require.Equal(t, fault.Invalid, f.Kind, name)
		require.Equal(t, "/policy", f.Fields[0].Pointer, name)
		require.Contains(t, f.Fields[0].Detail, c.says, name)
	}
}

// TestOperatorsSayCapacitiesToo: what `backend capacity` was told stands where a policy names no
// bytes of its own.
func TestOperatorsSayCapacitiesToo(t *testing.T) {
	t.Parallel()
	words := vocabulary
	words.Holds = map[string]int64{"shared-1": 100, "pg": 300}
	for name, c := range map[string]struct {
		capacities string
		want       map[string]map[string]float64
	}{
		"none are named":    {"", map[string]map[string]float64{"shared-1": {"bytes": 100}, "pg": {"bytes": 300}}},
		"one is named":      {"shared-1: {storefronts: 7}, shared-2: {rows: 9}", map[string]map[string]float64{"shared-1": {"storefronts": 7, "bytes": 100}, "shared-2": {"rows": 9}}},
		"with nothing more": {"pg: {}", map[string]map[string]float64{"pg": {"bytes": 300}}},
		"with a figure":     {"pg: {bytes: 8}", map[string]map[string]float64{"pg": {"bytes": 8}}},
	} {
		text := "rebalance: {above: 80%}"
		if c.capacities != "" {
			text = "rebalance: {above: 80%, capacities: {" + c.capacities + "}}"
		}
		p, err := planning.ParsePolicy(text, words)
		require.NoError(t, err, name)
		require.Equal(t, c.want, p.Capacities, name)
	}
	_, err := planning.ParsePolicy("rebalance: {above: 80%, capacities: {shared-2: {}}}", words)
	require.Contains(t, fault.Of(err).Fields[0].Detail, "names no capacity", "nobody said any")
	p, err := planning.ParsePolicy("rules: [{name: all, all: [rows > 1], to: pg}]", words)
	require.NoError(t, err)
	require.Empty(t, p.Capacities, "nothing is rebalanced")
}
