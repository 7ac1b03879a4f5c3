package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"smartseller/backends"
	"smartseller/backends/sqlstore"
)

// Budget is how many connections the pools of all places on one server may have open
// together. Where it is used up, connections that are idle anywhere give way. Safe for
// concurrent use.
type Budget struct {
	size   int
	turns  *sqlstore.Turns
	movers *sqlstore.Turns // of the owners' pools: what moves hold for minutes leaves some to customers

	mu     sync.Mutex
	pools  map[*Pools]struct{}
	hungry int // how many wait for a connection
}

// connectWait bounds the wait for another place's connection.
const connectWait = 5 * time.Second

// NewBudget makes one for a server that has so many connections to give. One instance
// takes half of them: there may be another one, and others who need the server.
func NewBudget(available int) *Budget {
	size := max(2, available/2)
	forMoves := max(2, size-size/4)
	return &Budget{
		size:   size,
		turns:  sqlstore.NewTurns(fmt.Sprintf("one of the server's %d connections that this instance may open", size), size, nil),
		movers: sqlstore.NewTurns(fmt.Sprintf("one of the server's %d connections that moves may open", forMoves), forMoves, nil),
		pools:  map[*Pools]struct{}{},
	}
}

// PerPool is how many connections each pool of a place may open, at most so many: none uses
// the whole budget up.
func (b *Budget) PerPool(most int) int { return max(2, min(most, b.size/2)) }

// gate is a database.Gate, of the application's pools.
func (b *Budget) gate(ctx context.Context) (giveBack func(), err error) { return b.take(ctx, b.turns) }

// moverGate is that of the owners' pools.
func (b *Budget) moverGate(ctx context.Context) (giveBack func(), err error) {
	leave, err := b.take(ctx, b.movers)
	if err != nil {
		return nil, err
	}
	closed, err := b.take(ctx, b.turns)
	if err != nil {
		leave()
		return nil, err
	}
	return func() { closed(); leave() }, nil
}

func (b *Budget) take(ctx context.Context, turns *sqlstore.Turns) (giveBack func(), err error) {
	if giveBack := turns.TryTake("a connection"); giveBack != nil {
		return giveBack, nil
	}
	b.hunger(1)
	defer b.hunger(-1)
	return turns.Take(ctx, "a connection", connectWait)
}

// hunger counts those that wait. While there are any, no pool keeps an idle connection.
func (b *Budget) hunger(more int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.hungry
	b.hungry += more
	if before == 0 || b.hungry == 0 {
		for p := range b.pools {
			p.keepIdle(b.hungry == 0)
		}
	}
}

func (b *Budget) add(p *Pools) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pools[p] = struct{}{}
	p.keepIdle(b.hungry == 0)
}

// Forget is told that pools are closed.
func (b *Budget) Forget(p *Pools) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pools, p)
}

func (p *Pools) keepIdle(yes bool) {
	kept := -1
	if yes {
		kept = p.most
	}
	for _, pool := range p.All() {
		pool.SetMaxIdleConns(kept)
	}
}

// Available is how many connections the server gives to roles like ours.
func Available(ctx context.Context, admin *sql.DB) (n int, err error) {
	err = admin.QueryRowContext(ctx, `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		- COALESCE(NULLIF(current_setting('reserved_connections', true), ''), '0')::int`).Scan(&n)
	return n, classify(err)
}

// CheckConnections says whether the server gives as many connections as are wanted.
func CheckConnections(ctx context.Context, admin *sql.DB, wanted int) backends.Finding {
	f := backends.Finding{Check: "connections", Warning: true}
	n, err := Available(ctx, admin)
	if err != nil {
		return unknown(f, err)
	}
	f.Found = fmt.Sprintf("the server gives %d", n)
	if n < wanted {
		f.Problem = fmt.Sprintf("the server gives %d connections: under load storefronts wait for each other's", n)
		f.Fix = fmt.Sprintf("raise max_connections so that %d are left beside those that are reserved, and more where several instances run", wanted)
	}
	return f
}
