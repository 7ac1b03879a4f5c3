package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// poolerRounds is how often two connections are compared. A pooler lends the
// connection that was given back last, or each of its few in turn.
const poolerRounds = 32

// Pooled says whether a DSN leads through a transaction pooler, such as PgBouncer:
// there two clients that are connected at the same time meet the same process of
// the server. Through such a one, statements must not be prepared, and the
// state of a session is anybody's.
func Pooled(ctx context.Context, dsn string) (pooled bool, err error) {
	pool, err := OpenPostgres(dsn, 0)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	var clients [2]*sql.Conn
	for i := range clients {
		if clients[i], err = pool.Conn(ctx); err != nil {
			return false, fmt.Errorf("connect: %w", err)
		}
		defer clients[i].Close()
	}
	seenBy := [2]map[int64]bool{{}, {}}
	for range poolerRounds {
		for i, client := range clients {
			var process int64
			if err := client.QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&process); err != nil {
				return false, fmt.Errorf("ask for the server's process: %w", err)
			}
			if seenBy[1-i][process] {
				return true, nil
			}
			seenBy[i][process] = true
		}
	}
	return false, nil
}
