package planning_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration/planning"
	"smartseller/platform/control/controltest"
	"smartseller/platform/httpx"
)

// server lets anybody in.
func (w *world) server(t *testing.T) *httpx.Server {
	t.Helper()
	server := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	server.Authenticate(httpx.AdminScheme, func(ctx context.Context, _ httpx.Credentials) (context.Context, error) { return ctx, nil })
	planning.Routes(server, w.service)
	return server
}

func post(t *testing.T, server *httpx.Server, path string, body map[string]any) *httptest.ResponseRecorder {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/api/admin/"+path, bytes.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer token")
	answer := httptest.NewRecorder()
	server.Handler().ServeHTTP(answer, r)
	return answer
}

// TestWordsOfPlansAreListed and described in the API's document.
func TestWordsOfPlansAreListed(t *testing.T) {
	t.Parallel()
	said := httptest.NewRecorder()
	newWorld(t, controltest.Open(t)).server(t).Handler().ServeHTTP(said, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	type schema struct {
		Description string
		Enum        []string
	}
	var d struct {
		Paths map[string]struct {
			Get struct{ Parameters []struct{ Schema schema } }
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]schema }
		}
	}
	require.NoError(t, json.Unmarshal(said.Body.Bytes(), &d))
	ofMoves := []string{"waiting", "moving", "moved", "done", "failed", "skipped"}
	for of, words := range map[string][]string{
		"Plan":     {"proposed", "running", "paused", "stopped", "cancelling", "cancelled", "completed"},
		"PlanMove": ofMoves,
	} {
		state := d.Components.Schemas[of].Properties["state"]
		require.Equal(t, words, state.Enum, of)
		for _, word := range words {
			require.Contains(t, state.Description, word, of)
		}
	}
	require.True(t, slices.ContainsFunc(d.Paths["/api/admin/plans/{id}/moves"].Get.Parameters, func(p struct{ Schema schema }) bool {
		return slices.Equal(p.Schema.Enum, ofMoves)
	}))
}

// TestTheAuditSaysWhatAPlanMoves, as far as a line may.
func TestTheAuditSaysWhatAPlanMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, controltest.Open(t))
	wanted := w.fleet(t, 7)
	server := w.server(t)
	var subjects []string
	server.Audit(func(_ context.Context, c httpx.Change) (func(context.Context, string) error, error) {
		subjects = append(subjects, c.Subject)
		return func(context.Context, string) error { return nil }, nil
	})
	for _, body := range []map[string]any{
		{"moves": wanted[:2]}, {"moves": wanted[2:]}, {"policy": "rules: [{name: all, any: [counters > 9], to: two}]"}, {"moves": wanted}, {},
	} {
		post(t, server, "plans", body)
	}
	require.Equal(t, []string{
		"shop-0=two shop-1=two", "shop-2=two shop-3=two shop-4=two shop-5=two shop-6=two", "what a policy wants",
		"shop-0=two shop-1=two shop-2=two shop-3=two shop-4=two and 2 more", "",
	}, subjects)
}

// TestBodiesAreAsLargeAsWhatTheyMayHold: as many moves as a plan can have, by names as long as
// they can be, and a long policy, whatever its letters.
func TestBodiesAreAsLargeAsWhatTheyMayHold(t *testing.T) {
	t.Parallel()
	server := newWorld(t, controltest.Open(t)).server(t)
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
		answer := post(t, server, c.path, c.body)
		require.Equal(t, c.status, answer.Code, "%s: %s", name, answer.Body)
	}
}
