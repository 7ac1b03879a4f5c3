package imports

import (
	"context"
	"errors"
	"iter"
	"time"

	"smartseller/backends"
	"smartseller/modules/storefronts/orders"
	"smartseller/modules/storefronts/shopify"
	"smartseller/platform/control"
	"smartseller/platform/failpoint"
	"smartseller/platform/fault"
)

// A transaction holds so many records, or so many bytes of a file: few enough that
// a storefront's other writers, and a cutover that waits for them, hardly notice.
const (
	batchRecords = 256
	batchBytes   = 256 << 10
)

// check reads every file to its end. Nothing is written before all are found good.
func (j *job) check() error {
	for n, s := range j.spools {
		var err error
		switch s.kind {
		case Customers:
			err = count(j, n, shopify.Customers(s.name, s.Reader()), func(*shopify.Customer) {})
		case Products:
			err = count(j, n, shopify.Products(s.name, s.Reader(), j.shop.Currency), func(*shopify.Product) {})
		case Orders:
			err = count(j, n, shopify.Orders(s.name, s.Reader()), func(o *shopify.Order) { j.number = max(j.number, o.Number) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func count[T any](j *job, n int, records iter.Seq2[*T, error], look func(*T)) error {
	for record, err := range records {
		if err = errors.Join(err, context.Cause(j.ctx)); err != nil {
			return err
		}
		look(record)
		j.note(func(i *Import) {
			i.Files[n].Records++
			i.Files[n].Checked = j.spools[n].read.Load()
		})
	}
	j.note(func(i *Import) { i.Files[n].Checked = i.Files[n].Bytes })
	return nil
}

// write imports every file.
func (j *job) write() error {
	if err := j.reserve(); err != nil {
		return err
	}
	for n, s := range j.spools {
		var err error
		switch s.kind {
		case Customers:
			err = inBatches(j, n, shopify.Customers(s.name, s.Reader()), j.customers)
		case Products:
			err = inBatches(j, n, shopify.Products(s.name, s.Reader(), j.shop.Currency), j.products)
		case Orders:
			err = inBatches(j, n, shopify.Orders(s.name, s.Reader()), j.orders)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reserve keeps the numbers of the files' orders from orders that are placed meanwhile.
func (j *job) reserve() error {
	if j.number == 0 {
		return nil
	}
	_, err := j.settle(func(tx backends.Tx) (*tally, error) { return nil, orders.Reserve(tx, j.number) })
	return err
}

func inBatches[T any](j *job, n int, records iter.Seq2[*T, error], write func(backends.Tx, []*T) (*tally, error)) error {
	var batch []*T
	begin := int64(0) // of the batch, in the file
	flush := func() error {
		t, err := j.settle(func(tx backends.Tx) (*tally, error) { return write(tx, batch) })
		if err != nil {
			return err
		}
		batch, begin = batch[:0], j.spools[n].read.Load()
		return j.keep(n, t)
	}
	for record, err := range records {
		if err = errors.Join(err, context.Cause(j.ctx)); err != nil {
			return err
		}
		batch = append(batch, record)
		if len(batch) == batchRecords || j.spools[n].read.Load()-begin >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// tally is what one batch came to.
type tally struct {
	imported, unchanged, skipped int64
	parts                        map[string]int64
	omitted                      []Omission // without file and number
}

func newTally() *tally { return &tally{parts: map[string]int64{}} }

func (t *tally) omit(line int, code string) {
	o := Omission{Line: int64(line), Code: code}
	if t.omitted = append(t.omitted, o); o.Skips() {
		t.skipped++
	}
}

// settle runs a batch until it is known to be written. It may be run again, since
// what a first try has written is there already for the second.
func (j *job) settle(write func(backends.Tx) (*tally, error)) (t *tally, err error) {
	err = j.insist(func() error {
		return j.s.store.Update(j.ctx, j.shop.ID, func(_ context.Context, tx backends.Tx) (err error) {
			t, err = write(tx)
			return err
		})
	}, func(err error) bool {
		// Unique: somebody took an address or a number meanwhile; the next try sees it.
		return errors.Is(err, backends.ErrUnique) || errors.Is(err, backends.ErrCommitUnknown) || fault.Of(err).Kind == fault.Unavailable
	})
	return t, err
}

// keep adds a batch's tally to the report.
func (j *job) keep(n int, t *tally) error {
	failpoint.Reach("import-batch")
	listed := t.omitted[:min(len(t.omitted), int(MaxListed-j.omitted))]
	for k := range listed {
		j.omitted++
		listed[k].Seq, listed[k].File = j.omitted, j.spools[n].name
	}
	if len(listed) > 0 {
		if err := j.insist(func() error {
			return j.s.db.Update(j.ctx, func(_ context.Context, tx control.Tx) error { return insertOmissions(tx, j.known.ID, listed) })
		}, func(error) bool { return true }); err != nil {
			return errNoReport.Because(err)
		}
	}
	j.note(func(i *Import) { i.Files[n].add(t) })
	return nil
}

// insist does what may fail for a while, such as when a database is started anew,
// until it succeeds, a minute or so long.
func (j *job) insist(do func() error, passes func(error) bool) error {
	const tries = 60
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == tries || !passes(err) {
			return err
		}
		select {
		case <-j.ctx.Done():
			return context.Cause(j.ctx)
		case <-time.After(min(time.Duration(try-1)*100*time.Millisecond, time.Second)):
		}
	}
}
