package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lib/pq"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/platform/database"
)

var _ sqlstore.OneTrip = (*Dialect)(nil)

// bound holds for statements outside of transactions, for there no entry sets one, and
// for entries that ask for no other. Ending statements from this side is not enough: a
// request to cancel that comes before its statement is lost, and the statement could
// wait for a lock for ever.
const (
	bound     = "SET statement_timeout = 5000; SET lock_timeout = 5000; SET " + awake
	boundedBy = 5 * time.Second
)

// awake ends the transaction of a process that stands still, or is cut off: its row locks
// and the lock that it shares would keep other instances' writers, and every seal, waiting
// for as long as it stands. A transaction does nothing but ask the database.
const awake = idleTimeout + " = " + idleMost

const (
	idleTimeout = "idle_in_transaction_session_timeout"
	idleMost    = "10000" // milliseconds
)

// timeout is what an entry must set, in milliseconds; 0: its session has it. Through a
// transaction pooler sessions have no settings of ours.
func (p *Pools) timeout(wanted time.Duration) int64 {
	if !p.pooled && wanted == boundedBy {
		return 0
	}
	return wanted.Milliseconds()
}

// Capable implements sqlstore.OneTrip. Through a transaction pooler, whose sessions have
// no settings of ours, nothing would bound a read.
func (d *Dialect) Capable() bool { return !d.Pools.pooled }

// Read implements sqlstore.OneTrip. A single statement has one snapshot whatever
// the isolation, and needs no transaction around it.
func (d *Dialect) Read(ctx context.Context, s *backends.Statement, args []any) (*sql.Rows, error) {
	rows, err := d.Pools.App.QueryContext(database.WithAlone(ctx), d.Pools.entering(s), args...)
	var raised *pq.Error
	if errors.As(err, &raised) && raised.Code == "SS002" {
		// The planner asked the policy for the storefront, to estimate how many rows it
		// has. It does so only where it does not see that $1 is the same.
		return nil, sqlstore.ErrEnterFirst
	}
	return rows, err
}

// entering is the text that enters, reads the fence, and reads. Each step depends on
// the one before, and OFFSET keeps the planner from pulling steps together: were one
// taken too early, the policy would raise. Every step still binds $1, by which the
// planner knows the storefront and a distributed Postgres finds its shard.
func (p *Pools) entering(s *backends.Statement) string {
	if text, ok := p.texts.Load(s); ok {
		return text.(string)
	}
	text := `SELECT found.*, fence.epoch, fence.state
		FROM (SELECT set_config('smartseller.storefront', $1, TRUE) AS id) AS entered
		JOIN LATERAL (SELECT epoch, state FROM fence WHERE storefront_id = $1 AND id = 'fence' AND entered.id IS NOT NULL OFFSET 0) AS fence ON TRUE
		LEFT JOIN LATERAL (SELECT own.*, TRUE AS smartseller_found FROM (` + s.Postgres() + `) AS own
			WHERE fence.state IN ('active', 'sealed') OFFSET 0) AS found ON TRUE`
	p.texts.Store(s, text)
	return text
}
