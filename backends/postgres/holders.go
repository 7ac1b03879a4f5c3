package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
)

// inside are the sessions that entered the storefront for writing, the oldest first:
// these hold the lock that a seal takes exclusively. One that waits for a row's lock
// holds or awaits the lock on the row's place in its table meanwhile.
const inside = `SELECT a.pid, a.state, coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::bigint, 0), quote_ident(current_user),
		pg_blocking_pids(a.pid), t.relation::regclass::text, '(' || t.page || ',' || t.tuple || ')'
	FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
	LEFT JOIN LATERAL (SELECT * FROM pg_locks t WHERE t.pid = a.pid AND t.locktype = 'tuple' LIMIT 1) t ON TRUE
	WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($1, 0)
	ORDER BY a.xact_start`

// holder is a backends.Holder as the server describes it.
type holder struct {
	pid, age   int64
	state      sql.NullString // none: the role may not see it
	asker      string         // the role that asks, quoted
	blockedBy  pq.Int64Array
	table, row sql.NullString // of the row that it waits for
}

func (h *holder) session() string {
	if !h.state.Valid {
		return fmt.Sprintf("database process %d (what it does and since when is hidden from this role: %s)", h.pid, grantMonitor(h.asker))
	}
	return fmt.Sprintf("database process %d, %s, %d s in its transaction", h.pid, h.state.String, h.age)
}

// Holders implements sqlstore.Dialect.
func (d *Dialect) Holders(ctx context.Context, storefront backends.StorefrontID) ([]backends.Holder, error) {
	s, err := begin(ctx, d.Pools.Owner, "BEGIN ISOLATION LEVEL READ COMMITTED")
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Rollback() }()
	found, err := writersInside(ctx, s, storefront)
	if err != nil {
		return nil, classify(err)
	}
	var out []backends.Holder
	for _, h := range found {
		told := backends.Holder{Session: h.session()}
		if len(h.blockedBy) > 0 {
			told.WaitsFor = fmt.Sprintf("database process %d", h.blockedBy[0])
		}
		if h.row.Valid {
			if told.Row, err = rowAt(ctx, s, storefront, h.table.String, h.row.String); err != nil {
				return nil, classify(err)
			}
		}
		out = append(out, told)
	}
	return out, nil
}

func writersInside(ctx context.Context, s *sqlstore.Session, storefront backends.StorefrontID) (out []holder, err error) {
	rows, err := s.QueryContext(ctx, inside, string(storefront))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var h holder
		if err := rows.Scan(&h.pid, &h.state, &h.age, &h.asker, &h.blockedBy, &h.table, &h.row); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// rowAt is the key of the row at a place in a table; none where it is gone, or is not
// the storefront's.
func rowAt(ctx context.Context, s *sqlstore.Session, storefront backends.StorefrontID, table, place string) (*backends.Key, error) {
	k := &backends.Key{Table: table}
	err := s.QueryRowContext(ctx, `SELECT id FROM `+pq.QuoteIdentifier(table)+` WHERE ctid = $1::tid AND storefront_id = $2`, place, string(storefront)).Scan(&k.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return k, err
}
