package planning_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration/planning"
	"smartseller/platform/control/controltest"
	"smartseller/platform/fault"
)

// TestAPlanIsSimulatedAsItIs: what is asked for beside it is refused, not overlooked.
func TestAPlanIsSimulatedAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	moves := w.fleet(t, 1)
	p := w.plan(t, planning.NewPlan{Moves: moves})
	for pointer, beside := range map[string]planning.Imagine{
		"":           {Instances: 2, Seed: 1},
		"/moves":     {NewPlan: planning.NewPlan{Moves: moves}},
		"/policy":    {NewPlan: planning.NewPlan{Policy: "rules: [{name: all, any: [bytes < 9], to: two}]"}},
		"/options":   {NewPlan: planning.NewPlan{Options: planning.PlanOptions{Canaries: new(int64(0))}}},
		"/limit":     {NewPlan: planning.NewPlan{Limit: 1}},
		"/synthetic": {Synthetic: 5},
	} {
		beside.Plan = p.ID
		_, err := w.service.Simulate(context.Background(), beside)
		if pointer == "" {
			require.NoError(t, err)
			continue
		}
		wrong := fault.Of(err)
		require.Equal(t, fault.Invalid, wrong.Kind, "%s: %v", pointer, err)
		require.Equal(t, pointer, wrong.Fields[0].Pointer)
	}
}
