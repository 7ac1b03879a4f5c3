package postgres

import "context"

// endStalled ends every mover's COPY to a table, in this database and by this role, whose
// client has not sent anything for five seconds. A mover has all of a page at hand when it begins
// one. No timeout ends it: while a COPY waits for its client the server heeds none.
const endStalled = `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
	WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
	AND state = 'active' AND wait_event = 'ClientRead' AND query LIKE 'COPY %' || '` + fromMover + `' AND query_start < clock_timestamp() - interval '5 s'`

// EndStalled implements sqlstore.Dialect.
func (d *Dialect) EndStalled(ctx context.Context) (bool, error) {
	s, err := begin(ctx, d.Pools.Owner, "BEGIN ISOLATION LEVEL READ COMMITTED")
	if err != nil {
		return false, err
	}
	defer func() { _ = s.Rollback() }()
	var ended int64
	err = s.QueryRowContext(ctx, endStalled).Scan(&ended)
	return ended > 0, classify(err)
}
