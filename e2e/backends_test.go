package e2e

import (
	"testing"

	"smartseller/platform/pgserver/pgtest"
)

// kinds are the kinds of backends, by the names that the tests give them.
var kinds = []string{"files", "shared", "dedicated"}

// addBackends registers two of each kind of Postgres backends, numbered like the two
// folders of files that the first start made.
func (p *program) addBackends(t *testing.T) {
	t.Helper()
	for _, number := range []string{"1", "2"} {
		owner := pgtest.Database(t)
		p.must(t, "backend", "add", "shared-"+number, "shared-postgres", "--admin-dsn", owner, "--dsn", pgtest.Role(t, owner, ""))
		p.must(t, "backend", "add", "dedicated-"+number, "dedicated-postgres", "--admin-dsn", pgtest.ServerDSN(t))
	}
}
