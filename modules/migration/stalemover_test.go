package migration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/modules/migration/history"
	"smartseller/platform/ids"
	"smartseller/platform/pgserver/badwire"
)

// trapStaleMover plays two movers by hand: the first has checked its fencing number
// and stands still, the second takes over and applies what came later. The server ends
// a transaction that stands still too long: then the trap did not close, and is set again.
func trapStaleMover(t *testing.T) {
	w := newWorld(t).ownDatabase(t)
	const tries = 5
	for try := 1; !staleMover(t, w) && try < tries; try++ {
	}
}

func staleMover(t *testing.T, w *world) (closed bool) {
	ctx := context.Background()
	wire := badwire.New(t, w.own.admin)
	w.reach = func(cfg backends.Config) backends.Config {
		cfg.AdminDSN = wire.DSN(cfg.AdminDSN)
		return cfg
	}
	first := w.instance(t, nil)
	w.reach = nil
	second := w.instance(t, nil)
	at := backends.Place{Backend: "own", Storefront: backends.StorefrontID(ids.New()), Epoch: 2}
	b, err := second.directory.Backend(ctx, "own")
	require.NoError(t, err)
	require.NoError(t, b.Create(ctx, at))
	stale, fresh := first.store(t, at), second.store(t, at)
	old, taken := backends.Token{Move: "m", Gen: 1}, backends.Token{Move: "m", Gen: 2}
	require.NoError(t, stale.Install(ctx, old, 2))

	var h history.History
	k := backends.Key{Table: counters.Name, ID: hotCell}
	put := func(value int64) backends.Batch { // as it was at the source, and acknowledged
		o := h.Begin(0, hotCell)
		o.Wrote(text(value))
		o.Done()
		return backends.Batch{Keys: []backends.Key{k}, Rows: map[backends.Key]backends.Row{k: {k.ID, value}}}
	}
	older, newer := put(1), put(2)
	held := wire.HoldAt("DELETE FROM counters")
	slow, over := make(chan error, 1), make(chan error, 1)
	go func() { slow <- stale.Apply(ctx, old, older) }()
	<-held.Reached()
	go func() { over <- fresh.Takeover(ctx, taken) }()
	if lookout(t, w.own.admin).elseOr(over) { // it did not wait for the first
		require.NoError(t, fresh.Apply(ctx, taken, newer))
		held.Release()
		closed = <-slow == nil
	} else {
		held.Release()
		if err := <-slow; err != nil {
			t.Log("the first was refused:", err)
		}
		require.NoError(t, <-over)
		require.NoError(t, fresh.Apply(ctx, taken, newer))
		closed = true
	}
	o := h.Begin(0, hotCell)
	require.NoError(t, fresh.Read(ctx, func(r backends.Reader) error {
		rows, err := r.Rows([]backends.Key{k})
		if rows[k] != nil {
			o.Saw(text(rows[k][1].(int64)))
		}
		return err
	}))
	o.Done()
	require.NoError(t, h.Check())
	return closed
}
