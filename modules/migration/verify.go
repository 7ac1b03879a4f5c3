package migration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"smartseller/backends"
)

// verify proves the copy, once, and stays in step until the cutover may come. What stood by
// before its owner died, or a place was away, is compared once more behind the word, as all
// that has waited: hundreds may stand by when a server is started anew.
func (x *run) verify(ctx context.Context) error {
	x.keepVerifying = true
	if x.m.Stats.VerifiedAt == 0 {
		if err := x.prove(ctx); err != nil {
			return err
		}
	} else {
		x.did(ctx) // with what was told by an owner that died
		if err := x.stayInStep(ctx, x.source, x.target); err != nil {
			return err
		}
		x.giveSlotBack()
	}
	for {
		if err := x.awaitCutover(ctx); err != nil {
			return err
		}
		if err := x.hook(ctx, "K7"); err != nil {
			return err
		}
		err := x.enter(ctx, CuttingOver, answer(WantCutover), func(m *Move) { m.Cut = NotCut })
		switch {
		case errors.Is(err, errBarred): // a moment ago
			if err := x.takeBack(ctx); err != nil {
				return err
			}
		case errors.Is(err, errTakenBack): // it rested, and has not heard
			x.intent.CompareAndSwap(WantCutover, NoIntent)
		default:
			return err
		}
	}
}

// prove compares everything while the storefront serves on, proves that rows travel back as
// well, and asks the gates.
func (x *run) prove(ctx context.Context) error {
	if err := x.awaitSlot(ctx); err != nil {
		return err
	}
	x.did(ctx) // with what was told before the slot was free, or by an owner that died

	if err := x.eraseCanary(ctx, x.source, x.target); err != nil { // left by an owner that died
		return err
	}
	if err := x.judged(verificationGate, x.compareAll(ctx, x.source, x.target)); err != nil {
		return err
	}
	x.waited = false
	if err := x.hook(ctx, "K6"); err != nil {
		return err
	}
	if err := x.openReverse(ctx); err != nil {
		return err
	}
	if err := x.askGates(ctx); err != nil {
		return err
	}
	return x.noteVerified(ctx)
}

// stayInStep drains and compares what was drained, so that little is left to do
// under seal.
func (x *run) stayInStep(ctx context.Context, from, to backends.Store) error {
	if err := x.keepUp(ctx, from, to); err != nil {
		return err
	}
	return x.compareApplied(ctx, from, to)
}

// interruptedMost is how many comparisons may be kept from their end, one after the other.
const interruptedMost = 5

// compareAll compares the places in whole. How long it worked before something kept it from its
// end counts for no trouble: both places were there. That it happens each time does, unless
// somebody wished it, or the control database was away.
func (x *run) compareAll(ctx context.Context, from, to backends.Store) error {
	began := time.Now()
	err := x.compareWhole(ctx, from, to)
	var wrong *mismatchError
	switch {
	case err == nil:
		x.interrupted = 0
	case !errors.As(err, &wrong):
		if !halts(err) && !wished(err) && !endsRun(ctx, err) {
			x.interrupted++
		}
		x.untried(time.Since(began))
	}
	return err
}

// wished says that a step ended because an operator wants another one.
func wished(err error) bool {
	return errors.Is(err, errPaused) || errors.Is(err, errCancel) || errors.Is(err, errYield)
}

// compareWhole compares every row of every table by digest, in key order, while the
// engines look for damage of their own.
func (x *run) compareWhole(ctx context.Context, from, to backends.Store) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range []backends.Store{from, to} {
		group.Go(func() error { return s.Inspect(ctx) })
	}
	group.Go(func() error { return x.compareRows(ctx, from, to) })
	return group.Wait()
}

func (x *run) compareRows(ctx context.Context, from, to backends.Store) error {
	x.compared.Store(0)
	x.repaired.Store(0)
	digests, rows := map[string]string{}, map[string]int64{}
	var adding sync.Mutex
	tables := x.directory.Catalog().Moving()
	held := 0
	var unequal []*backends.Table // by the servers' sums, which a change in between makes differ
	err := x.sideBySide(ctx, slices.Clone(tables), func(ctx context.Context, t *backends.Table) error {
		sum, compared, err := x.compareTable(ctx, t, from, to)
		if err != nil {
			return err
		}
		if err := x.checkReferences(ctx, t, from, to); err != nil {
			return err
		}
		equal, err := x.sumsEqual(ctx, t, from, to)
		adding.Lock()
		defer adding.Unlock()
		digests[t.Name], rows[t.Name] = sum.String(), compared
		held += len(t.References)
		if !equal {
			unequal = append(unequal, t)
		}
		return err
	})
	if err != nil {
		return err
	}
	x.gate(referencesGate, fmt.Sprintf("%d kinds of references hold", held))
	x.m.Stats.Digests, x.m.Stats.Unsummed = digests, nil
	x.counted(rows)
	if err := x.checkStrangers(ctx, to); err != nil {
		return err
	}
	if err := x.compareSums(ctx, unequal, from, to); err != nil {
		return err
	}
	report := fmt.Sprintf("%d rows of %d tables are equal by digest", x.compared.Load(), len(tables))
	if late := x.repaired.Load(); late > 0 {
		report += fmt.Sprintf(", %d of them once their changes had come", late)
	}
	x.gate(verificationGate, report)
	return nil
}

func (x *run) compareTable(ctx context.Context, t *backends.Table, from, to backends.Store) (sum backends.Digest, compared int64, err error) {
	both := twoPages{want: &backends.Page{Table: t}, have: &backends.Page{Table: t}}
	rows := x.firstRows
	for after, more := "", true; more; {
		if err := x.heed(); err != nil {
			return sum, compared, err
		}
		started := time.Now()
		if after, more, err = both.read(ctx, from, to, after, rows); err != nil {
			return sum, compared, err
		}
		compared += int64(both.want.Len())
		x.compared.Add(int64(both.want.Len()))
		if err := x.recheck(ctx, from, to, both.compare(&sum)); err != nil {
			return sum, compared, err
		}
		took := time.Since(started)
		rows = both.rowsFor(took, x.pace.chunk())
		if err := x.pace.rest(ctx, took); err != nil {
			return sum, compared, err
		}
	}
	return sum, compared, nil
}

// recheck fails for a difference that stays.
func (x *run) recheck(ctx context.Context, from, to backends.Store, keys []backends.Key) error {
	differed := int64(len(keys))
	stay, details, err := x.staying(ctx, from, to, keys)
	if err != nil {
		return err
	}
	if len(stay) == 0 {
		x.repaired.Add(differed)
		return nil
	}
	k := stay[0]
	return &mismatchError{fmt.Sprintf("verification failed: %s %s differs between the places (%s); nothing was cut over", k.Table, k.ID, details[k])}
}

// staying tells differences that are on their way from those that stay, and returns
// these. A key that a drain touches has just been made equal and waits in the to-verify
// set for the comparison under seal; one that outlives two drains untouched stays different.
func (x *run) staying(ctx context.Context, from, to backends.Store, keys []backends.Key) ([]backends.Key, map[backends.Key]string, error) {
	const patience = 2
	x.draining.Lock()
	defer x.draining.Unlock()
	var details map[backends.Key]string
	for round := 1; len(keys) > 0 && round <= patience+1; round++ {
		touched, err := x.drainOnce(ctx, from, to)
		if err != nil {
			return nil, nil, err
		}
		keys = slices.DeleteFunc(keys, func(k backends.Key) bool { return touched[k] })
		if keys, details, err = x.differing(ctx, from, to, keys); err != nil {
			return nil, nil, err
		}
	}
	if len(keys) == 0 {
		return nil, nil, nil
	}
	late, err := x.drainOnce(ctx, from, to) // changed after the last drain, before it was read
	return slices.DeleteFunc(keys, func(k backends.Key) bool { return late[k] }), details, err
}

// drainOnce brings over all that was captured when it began, and says what.
func (x *run) drainOnce(ctx context.Context, from, to backends.Store) (map[backends.Key]bool, error) {
	touched := map[backends.Key]bool{}
	for {
		drained, err := x.drain(ctx, from, to)
		for _, k := range drained {
			touched[k] = true
		}
		if err != nil || len(drained) < batchKeys {
			return touched, err
		}
	}
}

// differing compares rows by their keys, as many at a time as memory is meant to hold.
func (x *run) differing(ctx context.Context, from, to backends.Store, keys []backends.Key) (differ []backends.Key, details map[backends.Key]string, err error) {
	details = map[backends.Key]string{}
	for len(keys) > 0 {
		some, rest, err := x.differingSome(ctx, from, to, keys, details)
		if err != nil {
			return nil, nil, err
		}
		differ, keys = append(differ, some...), rest
	}
	return differ, details, nil
}

// differingSome reads the rows at both places, the copy first: a change in between is
// captured, and touches the key in the next drain.
func (x *run) differingSome(ctx context.Context, from, to backends.Store, keys []backends.Key, details map[backends.Key]string) (differ, rest []backends.Key, err error) {
	var have, want map[backends.Key]backends.Row
	if err := to.Read(ctx, func(r backends.Reader) (err error) {
		have, rest, err = r.SomeRows(keys)
		return err
	}); err != nil {
		return nil, nil, err
	}
	keys = without(keys, rest)
	var more []backends.Key
	if err := from.Read(ctx, func(r backends.Reader) (err error) {
		want, more, err = r.SomeRows(keys)
		return err
	}); err != nil {
		return nil, nil, err
	}
	keys, rest = without(keys, more), append(rest, more...)
	for _, k := range keys {
		if text := difference(x.directory.Catalog().Table(k.Table), want[k], have[k]); text != "" {
			differ = append(differ, k)
			details[k] = text
		}
	}
	return differ, rest, nil
}

// difference names what differs, never a value; empty: nothing does.
func difference(t *backends.Table, want, have backends.Row) string {
	switch {
	case want == nil && have == nil:
		return ""
	case have == nil:
		return "the row is missing at the copy"
	case want == nil:
		return "the row is at the copy alone"
	}
	var columns []string
	for i, c := range t.Columns {
		a, isBytes := want[i].([]byte)
		b, alsoBytes := have[i].([]byte)
		same := isBytes && alsoBytes && bytes.Equal(a, b)
		if !isBytes && !alsoBytes {
			same = want[i] == have[i]
		}
		if !same {
			columns = append(columns, c.Name)
		}
	}
	if len(columns) == 0 {
		return ""
	}
	return "columns " + strings.Join(columns, ", ")
}

// compareApplied compares rows that were applied since the whole was compared.
func (x *run) compareApplied(ctx context.Context, from, to backends.Store) error {
	for {
		entries, err := to.ToVerify(ctx, batchKeys)
		if err != nil || len(entries) == 0 {
			return err
		}
		keys := make([]backends.Key, len(entries))
		for i, e := range entries {
			keys[i] = e.Key
		}
		differ, _, err := x.differing(ctx, from, to, distinct(keys))
		if err != nil {
			return err
		}
		if err := x.judged(verificationGate, x.recheck(ctx, from, to, differ)); err != nil {
			return err
		}
		if err := to.Verified(ctx, x.token, entries); err != nil || len(entries) < batchKeys {
			return err // what drains added meanwhile is compared next time, under seal at the latest
		}
	}
}
