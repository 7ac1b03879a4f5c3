package e2e

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// storyOf reads a move's events behind the last one, as "id kind data", until their
// number is reached (0: none is) or the stream ends.
func (p *program) storyOf(t *testing.T, move, last string, number int) (story []string, lastID string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	token, err := os.ReadFile(filepath.Join(p.folder, "data", "admin.token"))
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+"/api/admin/moves/"+move+"/events", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	response, err := p.contract.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	lastID = last
	var one []string
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ": "); ok {
			one = append(one, value)
			if name == "id" {
				lastID = value
			}
		} else if len(one) > 0 {
			story, one = append(story, strings.Join(one, " ")), nil
			if len(story) == number {
				return story, lastID
			}
		}
	}
	require.NoError(t, lines.Err())
	return story, lastID
}

// TestEventsResumeWithoutGapOrDoubling: cut off after every few events, and once by
// the server's death, the parts together are the whole story.
func TestEventsResumeWithoutGapOrDoubling(t *testing.T) {
	t.Parallel()
	p := install(t)
	move := p.start(t, "files-2", "--manual")
	parts, last := p.storyOf(t, move, "", 3)
	p.waitFor(t, move, "verifying")
	p.kill()
	p.serve(t)
	p.must(t, "move", "cutover", move)
	p.waitFor(t, move, "watching")
	p.must(t, "move", "rollback", move)
	for {
		var part []string
		if part, last = p.storyOf(t, move, last, 4); len(part) == 0 {
			break
		}
		parts = append(parts, part...)
		if len(part) < 4 {
			break
		}
	}
	p.waitFor(t, move, "rolled_back")
	whole, _ := p.storyOf(t, move, "", 0)
	require.Equal(t, whole, parts)
	require.Contains(t, whole[len(whole)-1], `"phase":"rolled_back"`)
	none, _ := p.storyOf(t, move, last, 0)
	require.Empty(t, none, "nothing follows the last event")
}
