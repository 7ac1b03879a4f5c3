package storetest

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"smartseller/backends"
)

// Benchmark measures what one small transaction costs, the fence included: a
// read of one row by its key, and an update of one that returns it. Callers run
// side by side, each on a row of its own.
func Benchmark(b *testing.B, maker Maker) {
	catalog := Catalog(b)
	h := &home{Subject: maker(b, catalog), catalog: catalog}
	s := h.storefront(b)
	const rows = 64
	for i := range rows {
		put(b, s, strconv.Itoa(i), 0)
	}
	for name, run := range map[string]func(fn func(ctx context.Context, tx backends.Tx) error) error{
		"View":   func(fn func(context.Context, backends.Tx) error) error { return s.View(b.Context(), epoch, fn) },
		"Update": func(fn func(context.Context, backends.Tx) error) error { return s.Update(b.Context(), epoch, fn) },
	} {
		statement := map[string]*backends.Statement{"View": getCounter, "Update": bumpCounter}[name]
		b.Run(name, func(b *testing.B) {
			var callers atomic.Int64
			b.SetParallelism(8) // per processor
			b.RunParallel(func(pb *testing.PB) {
				id := strconv.FormatInt(callers.Add(1)%rows, 10)
				for pb.Next() {
					var v int64
					if err := run(func(_ context.Context, tx backends.Tx) error { return tx.Get(&v, statement, id) }); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
