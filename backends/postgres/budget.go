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
	all    ration
	movers ration // of the owners' pools: what moves hold for minutes leaves some to customers

	mu    sync.Mutex
	pools map[*Pools]struct{}
}

// ration is how many connections some of each place's pools may have open together.
type ration struct {
	turns  *sqlstore.Turns
	of     func(*Pools) []*sql.DB
	hungry int // how many wait for one; guarded by Budget.mu
}

// connectWait bounds the wait for another place's connection.
const connectWait = 5 * time.Second

// NewBudget makes one for a server that has so many connections to give. One instance
// takes half of them: there may be another one, and others who need the server.
func NewBudget(available int) *Budget {
	size := max(2, available/2)
	forMoves := max(2, size-size/4)
	return &Budget{
		size: size,
		all: ration{
			turns: sqlstore.NewTurns(fmt.Sprintf("one of the server's %d connections that this instance may open", size), size, nil),
			of:    (*Pools).All,
		},
		movers: ration{
			turns: sqlstore.NewTurns(fmt.Sprintf("one of the server's %d connections that moves may open", forMoves), forMoves, nil),
			of:    (*Pools).movers,
		},
		pools: map[*Pools]struct{}{},
	}
}

// PerPool is how many connections each pool of a place may open, at most so many: none uses
// the whole budget up.
func (b *Budget) PerPool(most int) int { return max(2, min(most, b.size/2)) }

// gate is a database.Gate, of the application's pools.
func (b *Budget) gate(ctx context.Context) (giveBack func(), err error) { return b.take(ctx, &b.all) }

// moverGate is that of the owners' pools.
func (b *Budget) moverGate(ctx context.Context) (giveBack func(), err error) {
	leave, err := b.take(ctx, &b.movers)
	if err != nil {
		return nil, err
	}
	closed, err := b.take(ctx, &b.all)
	if err != nil {
		leave()
		return nil, err
	}
	return func() { closed(); leave() }, nil
}

// spare marks the context of who needs a connection only where it is taken from nobody.
type spare struct{}

func ifSpare(ctx context.Context) context.Context { return context.WithValue(ctx, spare{}, true) }

// take takes a turn. Where none is free an idle connection of those pools gives way.
func (b *Budget) take(ctx context.Context, r *ration) (giveBack func(), err error) {
	const verb = "a connection"
	if giveBack := r.turns.TryTake(verb); giveBack != nil {
		return giveBack, nil
	}
	if ctx.Value(spare{}) != nil {
		return nil, sqlstore.ErrContended
	}
	b.closeIdle(r)
	if giveBack := r.turns.TryTake(verb); giveBack != nil {
		return giveBack, nil
	}
	b.hunger(r, 1)
	defer b.hunger(r, -1)
	return r.turns.Take(ctx, verb, connectWait)
}

// closeIdle closes one connection, the last that came back, of the pool that has most of them idle.
func (b *Budget) closeIdle(r *ration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var from *Pools
	var fullest *sql.DB
	most := 0
	for p := range b.pools {
		for _, pool := range r.of(p) {
			if idle := pool.Stats().Idle; idle > most {
				from, fullest, most = p, pool, idle
			}
		}
	}
	if fullest == nil {
		return
	}
	fullest.SetMaxIdleConns(most - 1)
	b.allowIdle(from)
}

// hunger counts those that wait. While there are any, none of those pools keeps an idle connection.
func (b *Budget) hunger(r *ration, more int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := r.hungry
	r.hungry += more
	if before == 0 || r.hungry == 0 {
		for p := range b.pools {
			b.allowIdle(p)
		}
	}
}

// allowIdle says how many idle connections pools keep now. It is called with the lock held.
func (b *Budget) allowIdle(p *Pools) {
	p.keepIdle()
	for _, r := range []*ration{&b.all, &b.movers} {
		if r.hungry > 0 {
			for _, pool := range r.of(p) {
				pool.SetMaxIdleConns(0)
			}
		}
	}
}

func (b *Budget) add(p *Pools) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pools[p] = struct{}{}
	b.allowIdle(p)
}

// Forget is told that pools are closed.
func (b *Budget) Forget(p *Pools) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pools, p)
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
