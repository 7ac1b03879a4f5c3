package seller

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/modules/migration"
	"smartseller/platform/httpx"
)

// TestWordsAreListed: who reads the API's document sees every word that a field of a move can have.
func TestWordsAreListed(t *testing.T) {
	t.Parallel()
	server := httpx.New(httpx.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	Routes(server, &Service{})
	said := httptest.NewRecorder()
	server.Handler().ServeHTTP(said, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	require.Equal(t, http.StatusOK, said.Code)
	var d struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	require.NoError(t, json.Unmarshal(said.Body.Bytes(), &d))
	var phases, every []string
	for _, p := range migration.Phases() {
		phases = append(phases, string(p))
		every = append(every, string(states[p]))
	}
	move := d.Components.Schemas["SellerMoveBody"].Properties
	require.Equal(t, phases, move["phase"].Enum)
	require.Subset(t, move["state"].Enum, every)
	require.Equal(t, []string{"begin", "turn", "not_now", "window", "quiet_hour", "operator"}, move["waits_for"].Enum)
}
