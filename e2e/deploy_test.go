package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// later builds the program as it will be once somebody has added a tenant migration.
func later(t *testing.T) (binary string) {
	t.Helper()
	folder := t.TempDir()
	added := filepath.Join(folder, "added.sql")
	require.NoError(t, os.WriteFile(added, []byte(`-- +goose Up
CREATE TABLE later (
    storefront_id TEXT NOT NULL CONSTRAINT later_storefront CHECK (storefront_id <> ''),
    id TEXT NOT NULL,
    CONSTRAINT later_key PRIMARY KEY (storefront_id, id)
);
`), 0o600))
	where, err := filepath.Abs("../migrations/tenant/00099_later.sql")
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{where: added}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "overlay.json"), overlay, 0o600))
	binary = filepath.Join(folder, "smartseller")
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(folder, "overlay.json"), "-tags", "failpoints", "-o", binary, "../app/smartseller").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// TestDeployAmongMoves starts a newer program, which brings a tenant migration, beside one
// that moves storefronts and serves others of the same shared Postgres. Moves make way,
// those that have cut over can still be rolled back, and no customer of the older program
// notices anything until it is stopped.
func TestDeployAmongMoves(t *testing.T) {
	t.Parallel()
	settings := []string{"SMARTSELLER_MOVE_LEASE=1s", "SMARTSELLER_CONTROL=" + pgtest.Database(t)}
	older := install(t, settings...)
	older.addBackends(t)
	for slug, backend := range map[string]string{"waits": "shared-1", "pauses": "shared-1", "neighbour": "shared-1", "returns": "files-1"} {
		older.create(t, slug, backend)
	}
	begin := func(p *program, slug, target string, more ...string) string {
		return strings.Fields(p.must(t, append([]string{"move", "start", slug, target}, more...)...))[0]
	}
	waits, pauses, returns := begin(older, "waits", "files-2", "--manual"), begin(older, "pauses", "dedicated-1", "--manual"), begin(older, "returns", "shared-1")
	for _, id := range []string{waits, pauses} {
		require.Eventually(t, func() bool { return older.move(t, id).Stats.VerifiedAt > 0 }, patience, glance)
	}
	older.must(t, "move", "pause", pauses)
	older.waitFor(t, pauses, "paused")
	older.waitFor(t, returns, "watching")
	crowd := older.crowd(t, "neighbour")
	crowd.Start(context.Background())

	newer := prepare(t, settings...)
	newer.binary, newer.folder = later(t), older.folder
	newer.serve(t)
	for _, id := range []string{waits, pauses} {
		require.Contains(t, newer.waitFor(t, id, "failed").Cause, "newer program")
	}
	require.Eventually(t, func() bool {
		response, err := http.Get(newer.url() + "/api/storefront/neighbour/products")
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode == http.StatusOK
	}, patience, glance, "%s", &newer.log)
	require.Regexp(t, `neighbour +shared-1 +current`, newer.must(t, "schema", "status"))
	newer.must(t, "move", "rollback", returns)
	newer.waitFor(t, returns, "rolled_back")

	reached(t, crowd, 20)
	crowd.Stop()
	require.NoError(t, crowd.Verify(context.Background()))
	require.Empty(t, crowd.Report().Failed)
	older.stop(t)
	newer.waitFor(t, begin(newer, "waits", "files-2"), "watching")
	newer.waitFor(t, begin(newer, "pauses", "dedicated-1"), "watching")
}
