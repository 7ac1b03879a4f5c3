package postgres

import (
	"context"
	"time"

	"smartseller/backends"
	"smartseller/platform/database"
)

// warmMost bounds how long connections are opened ahead: one costs a slow server 60 ms.
const warmMost = 5 * time.Second

// Warm implements sqlstore.Dialect. When a storefront has moved, everybody comes at
// once: the application's connections are there by then, where nobody else uses the pool.
func (d *Dialect) Warm(ctx context.Context) error {
	if err := Reach(ctx, d.Pools.App, d.Pools.Owner); err != nil {
		return err
	}
	d.Pools.warm(ctx)
	return nil
}

// warm opens connections of the application's until one storefront's share of them is open, and has
// each prepare what customers ask: the server learns its tables and policies for each anew.
// It ends where others use that pool, which it would take idle ones from, or the server has none to
// spare. What is missing then is made for whoever asks, who is told why that fails.
func (p *Pools) warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ifSpare(ctx), warmMost)
	defer cancel()
	asked := p.asked()
	for held := 0; ; held++ {
		now := p.App.Stats()
		if now.OpenConnections >= min(p.most, Share) || now.InUse > held {
			return
		}
		c, err := p.App.Conn(ctx)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }() // until then the next one is another one
		if err := database.Prepare(ctx, c, asked); err != nil {
			return
		}
	}
}

// asked are the statements that modules declare, as the application sends them.
func (p *Pools) asked() (texts []string) {
	for _, s := range backends.Statements() {
		texts = append(texts, s.Postgres())
		if s.Kind == backends.ReadStatement {
			texts = append(texts, p.entering(s))
		}
	}
	return texts
}
