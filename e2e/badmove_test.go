package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/e2e/load"
	"smartseller/platform/pgserver"
	"smartseller/platform/pgserver/pgtest"
)

// want starts a move by the API and returns the status and what was answered.
func (p *program) want(t *testing.T, storefront, target string) (int, problem, string) {
	t.Helper()
	var answer struct {
		problem
		Move struct{ ID string }
	}
	status := p.admin(t, "POST", "moves", map[string]any{"storefront_id": storefront, "target": target, "options": map[string]any{"manual_cutover": true}}, &answer)
	return status, answer.problem, answer.Move.ID
}

// unwanted is a move that is refused, and its dry run by the same answer.
func (p *program) unwanted(t *testing.T, storefront, target string, status int, code string) {
	t.Helper()
	for _, dry := range []bool{true, false} {
		var found problem
		got := p.admin(t, "POST", "moves", map[string]any{"storefront_id": storefront, "target": target, "dry_run": dry}, &found)
		require.Equal(t, status, got, "%+v", found)
		require.Equal(t, code, found.Code, "dry: %v", dry)
	}
}

func TestMovesThatCannotStart(t *testing.T) {
	t.Parallel()
	p := install(t)
	id := p.create(t, "shop", "files-1")
	for _, c := range []struct {
		storefront, target string
		status             int
		code               string
	}{
		{id, "nowhere", http.StatusNotFound, "backend_not_found"},
		{"0190a5ee-0000-7000-8000-000000000000", "files-2", http.StatusNotFound, "storefront_not_found"},
		{id, "files-1", http.StatusConflict, "already_there"},
		{id, "", http.StatusNotFound, "backend_not_found"},
	} {
		p.unwanted(t, c.storefront, c.target, c.status, c.code)
	}
	dry := map[string]any{"storefront_id": id, "target": "files-2", "dry_run": true}
	require.Equal(t, http.StatusOK, p.admin(t, "POST", "moves", dry, nil), "as the document says")
	status, _, first := p.want(t, id, "files-2")
	require.Equal(t, http.StatusAccepted, status)
	p.unwanted(t, id, "files-2", http.StatusConflict, "move_open")
	var problem problem
	p.waitFor(t, first, "verifying")
	require.Equal(t, http.StatusAccepted, p.admin(t, "POST", "moves/"+first+"/cancel", nil, nil))
	p.waitFor(t, first, "cancelled")
	require.Equal(t, http.StatusConflict, p.admin(t, "POST", "moves/"+first+"/rollback", nil, &problem))
	require.Equal(t, "move_phase", problem.Code)
	require.Equal(t, http.StatusNotFound, p.admin(t, "POST", "moves/nothing/rollback", nil, &problem))
}

// TestUnreachableTarget: the move fails with the cause, the storefront serves on, and
// once the cause is removed the same move works.
func TestUnreachableTarget(t *testing.T) {
	t.Parallel()
	p := install(t)
	server, err := pgserver.Start(context.Background(), pgserver.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	p.must(t, "backend", "add", "far", "dedicated-postgres", "--admin-dsn", server.AdminDSN())
	folder := filepath.Join(p.folder, "data", "files-2")
	for target, c := range map[string]struct {
		breaks, mends func() error
	}{
		"far": {server.Kill, func() error { return server.Restart(context.Background()) }},
		"files-2": {
			func() error {
				return errors.Join(os.Rename(folder, folder+".away"), os.WriteFile(folder, nil, 0o600)) // a file where the folder should be
			},
			func() error { return errors.Join(os.Remove(folder), os.Rename(folder+".away", folder)) },
		},
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			slug := "shop-" + target
			id := p.create(t, slug, "files-1")
			l := p.crowd(t, slug, func(o *load.Options) { o.Workers, o.Customers, o.Rate = 2, 1, 20 })
			l.Start(context.Background())
			require.NoError(t, c.breaks())
			_, _, move := p.want(t, id, target)
			m := p.waitFor(t, move, "failed")
			require.Contains(t, m.Cause, "cannot be reached")
			require.NotContains(t, m.Cause, server.Password())
			require.Contains(t, m.Advice, "start the move again")
			reached(t, l, 5)
			require.NoError(t, c.mends())
			_, _, move = p.want(t, id, target)
			p.waitFor(t, move, "verifying")
			reached(t, l, 5)
			l.Stop()
			require.NoError(t, l.Verify(context.Background()))
		})
	}
}

// corrupt opens the database of a place, behind the program's back.
func (p *program) corrupt(t *testing.T, place backends.Place, statement string, args ...any) {
	t.Helper()
	driver, dsn := "sqlite3", "file:"+filepath.Join(p.folder, "data", place.Backend, string(place.Storefront), fmt.Sprintf("%d.db", place.Epoch))+"?_busy_timeout=10000"
	if strings.HasPrefix(place.Backend, "dedicated-") {
		u, err := url.Parse(pgtest.ServerDSN(t))
		require.NoError(t, err)
		u.Path = fmt.Sprintf("/ss_%s_%d", strings.ReplaceAll(string(place.Storefront), "-", ""), place.Epoch)
		driver, dsn = "postgres", u.String()
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer db.Close()
	result, err := db.ExecContext(context.Background(), statement, args...)
	require.NoError(t, err)
	n, err := result.RowsAffected()
	require.NoError(t, err)
	require.EqualValues(t, 1, n, statement)
}

// TestCorruptedCopy: a row that is not what it must be at the target, since before the
// verification or since after it, keeps the storefront where it is.
func TestCorruptedCopy(t *testing.T) {
	t.Parallel()
	const (
		change = `UPDATE customers SET first_name = first_name || 'x' WHERE id = $1`
		remove = `DELETE FROM customers WHERE id = $1`
	)
	p := install(t, "SMARTSELLER_LOG_LEVEL=warn")
	p.must(t, "backend", "add", "dedicated-1", "dedicated-postgres", "--admin-dsn", pgtest.ServerDSN(t))
	for _, c := range []struct {
		name, target, when, statement string
	}{
		{"a byte more, before the verification", "files-2", "before", change},
		{"a byte more, after the verification", "files-2", "after", change},
		{"a row less, after the verification", "files-2", "after", remove},
		{"a byte more, before the verification, in Postgres", "dedicated-1", "before", change},
		{"a row less, after the verification, in Postgres", "dedicated-1", "after", remove},
	} {
		slug := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, c.name)
		id := p.create(t, slug, "files-1")
		_, in, _ := p.ask(t, "POST", slug+"/auth/register", "", credentials()) // one whom nobody writes
		l := p.crowd(t, slug, func(o *load.Options) { o.Workers, o.Customers, o.Rate = 1, 1, 20 })
		l.Start(context.Background())
		target := backends.Place{Backend: c.target, Storefront: backends.StorefrontID(id), Epoch: 2}
		if c.when == "before" {
			p.arm(t, "stop verifying")
		}
		_, _, move := p.want(t, id, c.target)
		if c.when == "before" {
			p.corruptWhileStopped(t, target, c.statement, in.Customer.ID)
		} else {
			p.waitFor(t, move, "verifying")
			require.Eventually(t, func() bool { return p.move(t, move).Stats.VerifiedAt > 0 }, patience, glance, "never verified")
			p.corrupt(t, target, c.statement, in.Customer.ID)
			require.Equal(t, http.StatusAccepted, p.admin(t, "POST", "moves/"+move+"/cutover", nil, nil), c.name)
		}
		m := p.waitFor(t, move, "failed")
		seen := "customers " + in.Customer.ID
		if c.statement == remove { // tables are judged side by side: the customer's session may be seen first
			seen += "|sessions .* refers by customer_id to a row of customers that is not at the target"
		}
		require.Regexp(t, seen, m.Cause, c.name)
		require.Contains(t, m.Cause, "nothing was cut over", c.name)
		require.NotContains(t, strings.ToLower(m.Cause), strings.ToLower(email), "nobody's data is told")
		reached(t, l, 5)
		l.Stop()
		require.NoError(t, l.Verify(context.Background()), c.name)
		p.inspect(t, func(a *audit) {
			require.Equal(t, "files-1", a.at(id).Place.Backend, c.name)
			a.requireFree(a.at(id))
			a.requireGone(target)
		})
	}
}

// corruptWhileStopped waits until the server stands still, and lets it go on after.
func (p *program) corruptWhileStopped(t *testing.T, place backends.Place, statement string, args ...any) {
	t.Helper()
	require.Eventually(t, func() bool { return stopped(p) }, patience, glance, "the point was not reached: %s", &p.log)
	p.corrupt(t, place, statement, args...)
	require.NoError(t, p.process.Process.Signal(syscall.SIGCONT))
}
