package postgres

import (
	"context"
	"database/sql"

	"smartseller/backends"
)

// CheckSight says whether the owner's role sees what other roles' sessions do. Without
// that moves work, and can say less of what they wait for.
func CheckSight(ctx context.Context, owner *sql.DB) backends.Finding {
	f := backends.Finding{Check: "sight of other sessions", Warning: true}
	var sees bool
	var role string
	err := owner.QueryRowContext(ctx, `SELECT pg_has_role('pg_read_all_stats', 'USAGE'), quote_ident(current_user)`).Scan(&sees, &role)
	if err != nil {
		return unknown(f, err)
	}
	f.Found = "what they do and since when, and how far standbys are"
	if !sees {
		f.Found = ""
		f.Problem = "hidden from the owner's role: who holds a move up is named without what it does and since when, and a copy does not heed how far standbys are behind"
		f.Fix = "as a superuser: " + grantMonitor(role)
	}
	return f
}

// grantMonitor is the statement that lets a role, which is quoted, see other roles' sessions.
func grantMonitor(role string) string { return "GRANT pg_monitor TO " + role }
