package postgres

import (
	"context"
	"database/sql"
	"time"

	"smartseller/backends"
)

// strain asks for what pg_locks and pg_stat_replication tell; the latter tells only a
// superuser, or who has the role pg_monitor, how far a standby is.
const strain = `SELECT
	COALESCE((SELECT max(extract(epoch FROM clock_timestamp() - waitstart) * 1000000) FROM pg_locks WHERE NOT granted), 0)::bigint,
	COALESCE((SELECT max(pg_current_wal_lsn() - flush_lsn) FROM pg_stat_replication), 0)::bigint`

// Strain is what a server suffers, in any of its databases.
func Strain(ctx context.Context, admin *sql.DB) (s backends.Strain, err error) {
	var waits int64
	err = admin.QueryRowContext(ctx, strain).Scan(&waits, &s.Behind)
	s.LockWait = max(0, time.Duration(waits)*time.Microsecond)
	return s, classify(err)
}
