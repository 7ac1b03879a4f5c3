package migration

import (
	"context"
	"database/sql"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"smartseller/platform/pgserver/pgtest"
)

// ownDatabase gives the world a shared database in which commits can be held.
func (w *world) ownDatabase(t *testing.T) *world {
	w.own.admin = pgtest.Database(t)
	w.own.app = pgtest.Role(t, w.own.admin, "")
	return w
}

// gate holds up commits of rows of a table that meet a condition.
type gate struct {
	t    *testing.T
	db   *sql.DB
	conn *sql.Conn
}

const gateLock = 4711

// lookout sees who waits in a database.
func lookout(t *testing.T, dsn string) *gate {
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return &gate{t: t, db: db}
}

func newGate(t *testing.T, dsn, table, condition string) *gate {
	g := lookout(t, dsn)
	for _, text := range []string{
		`CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$`,
		`CREATE CONSTRAINT TRIGGER gate AFTER INSERT OR UPDATE ON ` + table + ` DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (` + condition + `) EXECUTE FUNCTION wait_at_gate()`,
	} {
		_, err := g.db.ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
	return g
}

func (g *gate) shut() {
	var err error
	g.conn, err = g.db.Conn(context.Background())
	require.NoError(g.t, err)
	_, err = g.conn.ExecContext(context.Background(), `SELECT pg_advisory_lock($1)`, gateLock)
	require.NoError(g.t, err)
	g.t.Cleanup(g.open)
}

func (g *gate) open() {
	if g.conn == nil {
		return
	}
	_, err := g.conn.ExecContext(context.Background(), `SELECT pg_advisory_unlock($1)`, gateLock)
	require.NoError(g.t, err)
	require.NoError(g.t, g.conn.Close())
	g.conn = nil
}

// waiting lists the server's processes that wait at the gate, and those that wait for
// another transaction's end.
func (g *gate) waiting() (here, elsewhere []int64) {
	err := g.db.QueryRowContext(context.Background(), `SELECT array_agg(a.pid) FILTER (WHERE l.locktype = 'advisory' AND l.objid = $1), array_agg(a.pid) FILTER (WHERE l.locktype <> 'advisory')
		FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted AND a.datname = current_database()`, gateLock).
		Scan((*pq.Int64Array)(&here), (*pq.Int64Array)(&elsewhere))
	require.NoError(g.t, err)
	return here, elsewhere
}

func (g *gate) someoneWaits() {
	require.Eventually(g.t, func() bool {
		here, _ := g.waiting()
		return len(here) > 0
	}, waitLong, waitStep)
}

// elseOr waits until somebody waits for another transaction, or the verb has ended:
// then it is true.
func (g *gate) elseOr(verb chan error) (ended bool) {
	require.Eventually(g.t, func() bool {
		select {
		case err := <-verb:
			ended = true
			require.NoError(g.t, err)
			return true
		default:
			_, elsewhere := g.waiting()
			return len(elsewhere) > 0
		}
	}, waitLong, waitStep)
	return ended
}
