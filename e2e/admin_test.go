package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// move is what the admin API says of one.
type move struct {
	ID, Phase, Cut, Source, Target string
	Storefront                     string `json:"storefront_id"`
	Cause, Advice                  string
	EndedAt                        *int64 `json:"ended_at"`
	Stats                          struct {
		StallMicros int64 `json:"stall_micros"`
		BackStall   int64 `json:"back_stall_micros"`
		VerifiedAt  int64 `json:"verified_at"`
		Gates       map[string]string
	}
}

// admin sends a request of the admin API and returns the status; 0 when the server
// did not answer, which the caller must have a reason for.
func (p *program) admin(t *testing.T, method, path string, body, out any) int {
	t.Helper()
	return p.adminBy(t, p.contract.client(), method, path, body, out)
}

// impatient is for a server that may stand still before it answers.
func (p *program) impatient() *http.Client {
	c := p.contract.client()
	c.Timeout = 3 * time.Second
	return c
}

func (p *program) adminBy(t *testing.T, client *http.Client, method, path string, body, out any) int {
	t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		require.NoError(t, err)
		in = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, p.url()+"/api/admin/"+path, in)
	require.NoError(t, err)
	token, err := os.ReadFile(filepath.Join(p.folder, "data", "admin.token"))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0
	}
	if out != nil {
		require.NoError(t, json.Unmarshal(text, out), "%s %s: %s", method, path, text)
	}
	return response.StatusCode
}

func (p *program) move(t *testing.T, id string) (m move) {
	t.Helper()
	require.Equal(t, http.StatusOK, p.admin(t, "GET", "moves/"+id, nil, &m), "move %s: %s", id, &p.log)
	return m
}

// unpaced is for moves under test on a machine that is busy with other tests: what
// happens matters, not that nobody feels it.
var unpaced = map[string]any{"unpaced": true}

// waitFor waits until a move is in one of these phases; one that ends otherwise
// fails the test.
func (p *program) waitFor(t *testing.T, id string, phases ...string) (m move) {
	t.Helper()
	require.Eventually(t, func() bool {
		if status := p.admin(t, "GET", "moves/"+id, nil, &m); status != http.StatusOK {
			return p.dead()
		}
		return m.EndedAt != nil || slices.Contains(phases, m.Phase)
	}, patience, 2*glance, "waiting for %v: %+v %s", phases, &m, &p.log)
	require.Contains(t, phases, m.Phase, "%s %s %s", m.Cause, m.Advice, &p.log)
	return m
}

// create creates a storefront and returns its id.
func (p *program) create(t *testing.T, slug, backend string) string {
	t.Helper()
	var made struct{ ID string }
	status := p.admin(t, "POST", "storefronts", map[string]any{"slug": slug, "name": slug, "backend": backend}, &made)
	require.Equal(t, http.StatusCreated, status, "%s on %s", slug, backend)
	return made.ID
}
