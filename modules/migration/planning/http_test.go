package planning_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration/planning"
	"smartseller/platform/control/controltest"
	"smartseller/platform/httpx"
)

// TestBodiesAreAsLargeAsWhatTheyMayHold: as many moves as a plan can have, by names as long as
// they can be, and a long policy, whatever its letters.
func TestBodiesAreAsLargeAsWhatTheyMayHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	server := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	server.Authenticate(httpx.AdminScheme, func(ctx context.Context, _ httpx.Credentials) (context.Context, error) { return ctx, nil })
	planning.Routes(server, w.service)

	moves := make([]planning.Wanted, planning.MaxPlan)
	for i := range moves {
		moves[i] = planning.Wanted{Storefront: strings.Repeat("s", 63), Target: strings.Repeat("t", 40)}
	}
	const rule = "rules: [{name: all, all: [counters > 9], to: two}] # "
	long := rule + strings.Repeat("€", 1<<16-len(rule))
	for name, c := range map[string]struct {
		path   string
		body   map[string]any
		status int
	}{
		"a plan of many moves":        {"plans", map[string]any{"moves": moves}, http.StatusUnprocessableEntity}, // there are no such storefronts
		"a simulation of them":        {"plan-simulations", map[string]any{"moves": moves}, http.StatusUnprocessableEntity},
		"a plan of a long policy":     {"plans", map[string]any{"policy": long}, http.StatusConflict}, // which wants nothing
		"a simulation of it":          {"plan-simulations", map[string]any{"policy": long}, http.StatusConflict},
		"its proposals":               {"plan-proposals", map[string]any{"policy": long}, http.StatusOK},
		"too large a plan":            {"plans", map[string]any{"policy": strings.Repeat("x", 2<<20)}, http.StatusRequestEntityTooLarge},
		"too large a simulation":      {"plan-simulations", map[string]any{"policy": strings.Repeat("x", 2<<20)}, http.StatusRequestEntityTooLarge},
		"too large a policy":          {"plan-proposals", map[string]any{"policy": strings.Repeat("x", 256<<10)}, http.StatusRequestEntityTooLarge},
		"too many letters for a rule": {"plan-proposals", map[string]any{"policy": long + "x"}, http.StatusUnprocessableEntity},
	} {
		body, err := json.Marshal(c.body)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/api/admin/"+c.path, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer token")
		answer := httptest.NewRecorder()
		server.Handler().ServeHTTP(answer, r)
		require.Equal(t, c.status, answer.Code, "%s: %s", name, answer.Body)
	}
}
