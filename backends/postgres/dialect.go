// Package postgres is what the two Postgres backends share: the dialect of the
// one store, and how a database and its application role are made ready.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/lib/pq"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
	"smartseller/platform/database"
)

// Pools are the ways into one database. App is the application role's, under
// row-level security; Owner is the mover's. Both run entered transactions only. Bulk
// is the owner's as well, and reads pages.
type Pools struct {
	App, Owner, Bulk *sql.DB

	turns  *sqlstore.Turns // of App: who comes to all of them taken waits here, not for ever in the pool
	pooled bool
	most   int      // connections of each pool
	texts  sync.Map // *backends.Statement -> string: see entering
}

// Share is how many connections to a database one storefront's customers may have in use.
const Share = 12

// statements bounds what each connection keeps prepared: the declared statements
// and the mover's handful per table.
const statements = 256

// How long a server may take for an answer before it counts as out of reach. It ends
// an application's statement itself after five seconds; a mover's may read a whole table.
const (
	appPatience   = 15 * time.Second
	moverPatience = 60 * time.Second
)

// modest keeps the mover's sums over whole tables to one process of the server, which
// others need as well, and from being compiled, which takes longer than they do. A
// snapshot of a process that stands still ends: it would hold up vacuums and upgrades.
const modest = "SET max_parallel_workers_per_gather = 0; SET jit = off; SET idle_in_transaction_session_timeout = 60000"

// OpenPools opens all three. They connect at first use. pooled says that the
// application's DSN goes through a transaction pooler; the owner's is direct.
func OpenPools(appDSN, ownerDSN string, pooled bool, connections int) (*Pools, error) {
	return openPools(appDSN, ownerDSN, pooled, connections, time.Minute, nil, nil)
}

// OpenPools opens those of one place within the budget. What is idle is closed soon.
func (b *Budget) OpenPools(appDSN, ownerDSN string, most int) (*Pools, error) {
	p, err := openPools(appDSN, ownerDSN, false, b.PerPool(most), 10*time.Second, b.gate, b.moverGate)
	if err == nil {
		b.add(p)
	}
	return p, err
}

func openPools(appDSN, ownerDSN string, pooled bool, connections int, idle time.Duration, gate, moverGate database.Gate) (*Pools, error) {
	prepared, settings := statements, []string{bound}
	if pooled {
		prepared, settings = 0, nil
	}
	app, err := database.OpenEntered(appDSN, prepared, appPatience, gate, settings...)
	if err != nil {
		return nil, fmt.Errorf("the application's DSN: %w", err)
	}
	owner, err := database.OpenEntered(ownerDSN, statements, moverPatience, moverGate, modest)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the owner's DSN: %w", err), app.Close())
	}
	bulk, err := database.OpenBulk(ownerDSN, moverPatience, moverGate)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the owner's DSN: %w", err), app.Close(), owner.Close())
	}
	turns := sqlstore.NewTurns(fmt.Sprintf("one of the database's %d connections", connections), connections, nil)
	p := &Pools{App: app, Owner: owner, Bulk: bulk, turns: turns, pooled: pooled, most: connections}
	for _, pool := range p.All() {
		pool.SetMaxOpenConns(connections)
		pool.SetConnMaxIdleTime(idle)
	}
	p.keepIdle()
	return p, nil
}

// Lanes queue the transactions of one storefront, which may take so many connections at
// once: what its customers do all at the same time is not to hold up another's.
func (p *Pools) Lanes(share int) sqlstore.Lanes {
	own := sqlstore.NewTurns(fmt.Sprintf("one of the %d connections of the storefront", share), share, p.turns)
	return sqlstore.Lanes{Read: own, Write: own}
}

// All are the pools, in the order in which they are closed.
func (p *Pools) All() []*sql.DB { return []*sql.DB{p.App, p.Owner, p.Bulk} }

func (p *Pools) movers() []*sql.DB { return []*sql.DB{p.Owner, p.Bulk} }

// keepIdle lets all of the application's connections wait for the next request: where many come at
// once they come again. Of the mover's half do.
func (p *Pools) keepIdle() {
	p.App.SetMaxIdleConns(p.most)
	p.Owner.SetMaxIdleConns(p.most / 2)
	p.Bulk.SetMaxIdleConns(p.most / 2)
}

// Close closes all pools.
func (p *Pools) Close() error {
	var errs []error
	for _, pool := range p.All() {
		errs = append(errs, pool.Close())
	}
	return errors.Join(errs...)
}

// Dialect is sqlstore.Dialect for Postgres.
type Dialect struct {
	Pools *Pools
	// Alone says that the database belongs to one storefront.
	Alone bool
}

var _ sqlstore.Dialect = (*Dialect)(nil)

// Enter implements sqlstore.Dialect. The entry goes ahead of the transaction's first
// statement: two round trips for one of a single statement.
func (d *Dialect) Enter(ctx context.Context, e sqlstore.Entry) (*sqlstore.Session, error) {
	begin, enter := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SELECT smartseller_enter_read($1, $2, $3)"
	if e.Write {
		begin, enter = "BEGIN ISOLATION LEVEL READ COMMITTED", "SELECT smartseller_enter($1, $2, $3)"
	}
	steps := append(make([]database.Step, 0, 3), database.Step{Text: begin})
	if d.Pools.pooled { // its session has no settings of ours
		steps = append(steps, database.Step{Text: "SET LOCAL " + awake})
	}
	steps = append(steps, database.Step{Text: enter, Args: []string{
		string(e.Storefront), strconv.FormatInt(e.Epoch, 10), strconv.FormatInt(d.Pools.timeout(e.Timeout), 10),
	}})
	return start(ctx, d.Pools.App, &database.Entry{Steps: steps})
}

const (
	beginChange = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = 500"
	lazily      = "; SET LOCAL synchronous_commit = off"
)

// Begin implements sqlstore.Dialect. An exclusive transaction takes the lock that
// writers share. Its process may stop at any point, with the fence's row locked: half a
// second of idleness ends a transaction that changes something.
func (d *Dialect) Begin(ctx context.Context, storefront backends.StorefrontID, m sqlstore.Mode, wait time.Duration) (*sqlstore.Session, error) {
	switch m {
	case sqlstore.Snapshot:
		return begin(ctx, d.Pools.Owner, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	case sqlstore.Change:
		return begin(ctx, d.Pools.Owner, beginChange)
	case sqlstore.Fill:
		return begin(ctx, d.Pools.Owner, beginChange+lazily)
	}
	id := pq.QuoteLiteral(string(storefront))
	s, err := begin(ctx, d.Pools.Owner, fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = %d; "+
		"SET LOCAL idle_in_transaction_session_timeout = 500"+lazily+"; "+
		"SELECT count(pg_advisory_xact_lock(hashtextextended(%s, 0))) FROM fence WHERE storefront_id = %s AND id = 'fence'",
		max(1, wait.Milliseconds()), id, id))
	if errors.Is(err, sqlstore.ErrContended) {
		return nil, fmt.Errorf("%w: %w", backends.ErrLockBusy, err)
	}
	return s, err
}

func begin(ctx context.Context, pool *sql.DB, text string) (*sqlstore.Session, error) {
	return start(ctx, pool, &database.Entry{Text: text})
}

func start(ctx context.Context, pool *sql.DB, entry *database.Entry) (*sqlstore.Session, error) {
	tx, err := pool.BeginTx(database.WithEntry(ctx, entry), nil)
	if err != nil {
		return nil, classify(err)
	}
	return &sqlstore.Session{Tx: tx, Capture: func() bool { return entry.Answer != 0 }}, nil
}

// Text implements sqlstore.Dialect.
func (d *Dialect) Text(portable string) string { return portable }

// Statement implements sqlstore.Dialect.
func (d *Dialect) Statement(s *backends.Statement) string { return s.Postgres() }

// LockFence implements sqlstore.Dialect.
func (d *Dialect) LockFence(change bool) string {
	if change {
		return " FOR UPDATE"
	}
	return " FOR SHARE"
}

// Size implements sqlstore.Dialect. In a shared database it is the rows' share of
// their tables, indexes included.
func (d *Dialect) Size(ctx context.Context, storefront backends.StorefrontID, tables []*backends.Table) (total int64, err error) {
	s, err := begin(ctx, d.Pools.Owner, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Rollback() }()
	if d.Alone {
		err := s.QueryRowContext(ctx, `SELECT pg_database_size(current_database())`).Scan(&total)
		return total, classify(err)
	}
	patient := database.WithLongAnswer(ctx)
	for _, t := range tables {
		var size int64
		err := s.QueryRowContext(patient, `SELECT (count(*) * (SELECT CASE WHEN reltuples > 0 THEN pg_total_relation_size(oid) / reltuples ELSE 300 END
			FROM pg_class WHERE oid = $2::regclass))::bigint FROM `+t.Name+` WHERE storefront_id = $1`, string(storefront), t.Name).Scan(&size)
		if err != nil {
			return 0, classify(err)
		}
		total += size
	}
	return total, nil
}

// Inspect implements sqlstore.Dialect: the server looks after its files itself.
func (d *Dialect) Inspect(context.Context) error { return nil }

// Reach says whether the databases of pools answer: the first one that does not.
func Reach(ctx context.Context, pools ...*sql.DB) error {
	for _, pool := range pools {
		if err := reach(ctx, pool); err != nil {
			return err
		}
	}
	return nil
}

// reach passes over idle connections that died with a server that is back: each shows
// once and is then gone.
func reach(ctx context.Context, pool *sql.DB) error {
	for try := 0; ; try++ {
		err := pool.PingContext(ctx)
		if !errors.Is(err, driver.ErrBadConn) || try == pool.Stats().MaxOpenConnections {
			return classify(err)
		}
	}
}
