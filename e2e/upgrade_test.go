package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"smartseller/migrations"
	"smartseller/platform/pgserver/pgtest"
)

// age takes the newest migration back in the file of a storefront that never moved.
func (p *program) age(t *testing.T, storefront string) {
	t.Helper()
	all, err := migrations.Tenant(migrations.SQLite)
	require.NoError(t, err)
	names, err := fs.Glob(all, "*.sql")
	require.NoError(t, err)
	var text, before string // of the newest one, and of all
	for _, name := range names {
		content, err := fs.ReadFile(all, name)
		require.NoError(t, err)
		text, before = string(content), before+string(content)
	}
	version, err := goose.NumericComponent(names[len(names)-1])
	require.NoError(t, err)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(p.folder, "data", "files-1", storefront, "1.db")+"?_txlock=immediate&_busy_timeout=10000")
	require.NoError(t, err)
	undo := fmt.Sprintf("BEGIN IMMEDIATE; DELETE FROM goose_db_version WHERE version_id = %d;", version)
	for _, m := range regexp.MustCompile(`CREATE TABLE (\w+)`).FindAllStringSubmatch(text, -1) {
		undo += "DROP TABLE " + m[1] + ";"
	}
	for _, m := range regexp.MustCompile(`DROP INDEX (\w+)`).FindAllStringSubmatch(text, -1) {
		undo += regexp.MustCompile(`CREATE (UNIQUE )?INDEX ` + m[1] + ` [^;]*;`).FindString(before)
	}
	_, err = db.Exec(undo + "COMMIT")
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// TestAnotherInstanceUpgradesOn when the one that works is killed in the middle; the
// place that is broken is named, and can be repeated alone.
func TestAnotherInstanceUpgradesOn(t *testing.T) {
	t.Parallel()
	control := "SMARTSELLER_CONTROL=" + pgtest.Database(t)
	first := install(t, control)
	second := prepare(t, control)
	second.folder = first.folder
	second.serve(t)
	const count = 8
	for n := range count {
		id := first.create(t, fmt.Sprintf("shop-%d", n), "files-1")
		if first.age(t, id); n == 3 {
			require.NoError(t, os.RemoveAll(filepath.Join(first.folder, "data", "files-1", id)))
		}
	}
	first.arm(t, "U1")
	second.arm(t, "U1")
	var run struct{ ID string }
	require.Equal(t, 202, first.admin(t, "POST", "schema-upgrades", map[string]any{}, &run))
	dead, alive := first, second
	select {
	case <-first.ended:
	case <-second.ended:
		dead, alive = second, first
	case <-time.After(patience):
		require.Fail(t, "nobody got there")
	}
	dead.diesAt(t, "U1")
	alive.arm(t, "")
	require.False(t, alive.dead(), "it was disarmed in time")
	out, code := alive.command(t, "schema", "upgrade")
	require.Equal(t, 73, code, out)
	require.Contains(t, out, "upgrade "+run.ID+" was under way already")
	require.Regexp(t, `shop-3 +files-1 +failed: On files-1 there is no place`, out)
	require.Contains(t, out, fmt.Sprintf("completed, places: %d done, 1 failed\n", count)) // and demo
	require.Contains(t, alive.must(t, "schema", "status"), fmt.Sprintf("\n%d current, 1 unknown\n", count))
	dead.arm(t, "")
	dead.serve(t)
	out, code = dead.command(t, "schema", "upgrade", "--failed")
	require.Equal(t, 73, code, out)
	require.Contains(t, out, fmt.Sprintf("has begun, places: %d done, 1 waiting", count))
}

// TestWhoLeavesLeavesTheUpgradeRunning, which waits for a place that is being moved.
func TestWhoLeavesLeavesTheUpgradeRunning(t *testing.T) {
	t.Parallel()
	p := install(t)
	id := p.create(t, "toys", "files-1")
	p.must(t, "move", "start", "toys", "files-2", "--manual")
	p.must(t, "move", "pause", "toys")
	p.must(t, "move", "watch", "toys", "--until", "paused")
	p.age(t, id)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	watching := exec.CommandContext(ctx, p.binary, "schema", "upgrade")
	watching.Dir, watching.Env = p.folder, inherited("SMARTSELLER_URL=http://"+p.address)
	seen := &record{}
	watching.Stdout, watching.Stderr = seen, seen
	require.NoError(t, watching.Start())
	require.Eventually(t, func() bool {
		return strings.Contains(seen.String(), "is paused and both of its places must keep their schema")
	}, patience, glance, "%s", seen)
	require.NoError(t, watching.Process.Signal(syscall.SIGINT))
	require.Error(t, watching.Wait())
	require.Equal(t, 75, watching.ProcessState.ExitCode(), "%s", seen)
	require.Contains(t, seen.String(), "You have left; the upgrade goes on without you. Watch it again: smartseller schema upgrade")

	status := p.must(t, "schema", "status")
	require.Regexp(t, `toys .* behind .*; upgrade waiting: Move .* is paused`, status)
	require.Regexp(t, `running, places: 1 done, 1 waiting`, status)
	require.Contains(t, p.must(t, "schema", "cancel"), "cancelled, places: 1 done, 1 skipped")
	out, code := p.command(t, "schema", "cancel")
	require.Equal(t, 73, code, out)
}

// TestAPlaceBehindIsRefusedOrUpgraded when a request comes, as the setting old_schema has it.
func TestAPlaceBehindIsRefusedOrUpgraded(t *testing.T) {
	t.Parallel()
	p := install(t, "SMARTSELLER_OLD_SCHEMA=refuse")
	id := p.create(t, "toys", "files-1")
	p.stop(t)
	p.age(t, id)
	p.serve(t)
	requested := func() (int, http.Header, string) {
		var said struct{ Code string }
		status, header := p.askInto(t, &said, "GET", "toys/products", "", nil)
		return status, header, said.Code
	}
	status, header, code := requested()
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "storefront_outdated", code)
	require.Equal(t, "5", header.Get("Retry-After"))
	require.Contains(t, p.log.String(), "this server is told to refuse it: smartseller schema upgrade")
	require.Regexp(t, "toys .* behind", p.must(t, "schema", "status"), "a request leaves it as it is")
	p.must(t, "schema", "upgrade")
	status, _, code = requested()
	require.Equal(t, http.StatusOK, status, code)

	p.stop(t)
	p.age(t, id)
	p.environment = nil
	p.serve(t)
	require.Regexp(t, "toys .* behind", p.must(t, "schema", "status"))
	status, _, code = requested()
	require.Equal(t, http.StatusOK, status, code)
	require.Contains(t, p.must(t, "schema", "status"), "\n2 current\n") // with demo
}
