package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
)

// While the rollback window is open both places are compared again and again, so that
// a rollback which would be refused is known before it is wanted.
const (
	auditEvery   = time.Hour // from one comparison to the next; in short windows a sixth of the window
	auditShare   = 0.05      // of the time that a comparison nobody asked for works
	auditShown   = 20        // findings that are told
	auditSums    = 3         // tries to compare the servers' sums of a table between writes
	differAdvice = "Do not roll back: it would be refused. Compare what is named at both places. Is the new place right, then finalize: smartseller move finalize %s. " +
		"Is the old one right, then write the row once more through the storefront, which brings it to both, and verify again: smartseller move verify %s."
)

// Audit is the last comparison of both places while the rollback window is open.
type Audit struct {
	Round    int64    `json:"round" doc:"How many comparisons have ended"`
	Asked    bool     `json:"asked" doc:"An operator asked for it"`
	Rows     int64    `json:"rows" doc:"That were compared by digest"`
	Tables   int      `json:"tables"`
	Unsummed int      `json:"tables_without_sums,omitempty" doc:"Tables that were written too often for the servers' own sums to be compared"`
	Took     int64    `json:"took_micros" doc:"How long it took, microseconds"`
	EndedAt  int64    `json:"ended_at" doc:"Microseconds UTC"`
	Findings int64    `json:"findings" doc:"How many differences there are"`
	Found    []string `json:"found,omitempty" doc:"The first 20 of them, by key and column, never by value"`
	Unread   bool     `json:"unread,omitempty" doc:"One of the places cannot be read"`
	Damaged  string   `json:"damaged,omitempty" doc:"The backend whose place says of itself that it is damaged; empty: neither does"`
}

// auditAdvice is what to do where the places differ.
func (m *Move) auditAdvice() string {
	switch a := m.Stats.Audit; {
	case a.Damaged == m.Target.Backend:
		return newDamagedAdvice
	case a.Unread && a.Damaged == "":
		return fmt.Sprintf("Do not finalize before it is known which: look for damage at both places, then compare once more: smartseller move verify %s.", m.ID)
	case a.Damaged == m.Source.Backend:
		return fmt.Sprintf("Do not roll back: it would be refused. Finalize, and start a new move back if you must: smartseller move finalize %s.", m.ID)
	}
	return fmt.Sprintf(differAdvice, m.ID, m.ID)
}

// auditor compares the new place with the old one, a page at a time between drains.
type auditor struct {
	x    *run
	left []*backends.Table // of the comparison under way; the first one is at work
	// after is the key behind which the next page begins, rows how long it may be.
	after   string
	rows    int
	a       Audit
	began   time.Time
	next    time.Time // when the next comparison begins
	resting time.Time // until when the pace wants a rest
}

func (x *run) newAuditor() *auditor {
	d := &auditor{x: x}
	last := x.m.Stats.CommittedAt
	if x.m.Stats.Audit != nil {
		last = x.m.Stats.Audit.EndedAt
	}
	d.plan(time.UnixMicro(last))
	return d
}

func (d *auditor) plan(after time.Time) {
	d.next = after.Add(min(d.x.auditEvery, d.x.m.Options.window()/6))
}

// step compares one page, if one is due; worked says whether. asked begins a
// comparison at once and lets it work as fast as the move's pace allows.
func (d *auditor) step(ctx context.Context, asked bool) (worked bool, err error) {
	now := time.Now()
	if asked && !d.a.Asked || len(d.left) == 0 && now.After(d.next) {
		d.begin(now, asked)
	}
	if len(d.left) == 0 || now.Before(d.resting) {
		return false, nil
	}
	more, err := d.page(ctx)
	if err == nil && !more {
		err = d.endTable(ctx)
	}
	if errors.Is(err, backends.ErrDamaged) {
		return true, d.damaged(ctx, err)
	}
	if d.a.Findings > 0 {
		err = errors.Join(err, d.x.suspect(ctx))
	}
	if err != nil {
		return true, err
	}
	took, share := time.Since(now), auditShare
	if d.a.Asked {
		share = max(leastShare, d.x.pace.look())
	}
	d.resting = time.Now().Add(time.Duration(float64(took) * (1 - share) / share))
	if len(d.left) == 0 {
		return true, d.end(ctx)
	}
	return true, nil
}

// suspect writes down, once, that the comparison under way has found something: the window stays
// open until one has ended, whoever makes it.
func (x *run) suspect(ctx context.Context) error {
	if x.m.Stats.Suspected {
		return nil
	}
	return x.save(ctx, unsaid, nil, func(_ control.Tx, m *Move) error {
		m.Stats.Suspected = true
		return nil
	})
}

// retellDamage is after how long a place that cannot be read is told once more, for it may
// be the other one by then.
const retellDamage = 10 * time.Minute

// tellDamage tells that a place cannot be read, and tells it again now and then, and whenever
// somebody asks.
func (x *run) tellDamage(ctx context.Context, err error) error {
	a := x.m.Stats.Audit
	told := a != nil && a.Unread && time.Since(time.UnixMicro(a.EndedAt)) < retellDamage
	if told && x.intent.Load().(Intent) != WantVerify {
		return nil
	}
	return x.newAuditor().damaged(ctx, err)
}

// damaged ends a comparison, or what would have been one, by what makes it pointless.
func (d *auditor) damaged(ctx context.Context, err error) error {
	if len(d.left) == 0 {
		d.begin(time.Now(), d.x.intent.Load().(Intent) == WantVerify)
	}
	p := d.x.damaged(ctx)
	d.left, d.a.Unread, d.a.Damaged = nil, true, p.Backend
	switch p {
	case d.x.m.Source:
		d.found("the old place, on %s, cannot be read: %s", p.Backend, err)
	case d.x.m.Target:
		d.found("the new place, on %s, cannot be read, so do not finalize: %s", p.Backend, err)
	default:
		d.found("one of the places cannot be read: %s", err)
	}
	return d.tell(ctx)
}

// due is how long nothing is to be compared.
func (d *auditor) due() time.Duration {
	if len(d.left) == 0 {
		return time.Until(d.next)
	}
	return time.Until(d.resting)
}

func (d *auditor) begin(now time.Time, asked bool) {
	d.left, d.after, d.rows, d.began, d.resting = slices.Clone(d.x.directory.Catalog().Moving()), "", d.x.firstRows, now, now
	d.a = Audit{Asked: asked, Tables: len(d.left), Round: 1}
	if last := d.x.m.Stats.Audit; last != nil {
		d.a.Round = last.Round + 1
	}
}

// page compares the next rows of the table at work by digest.
func (d *auditor) page(ctx context.Context) (more bool, err error) {
	x, t, started := d.x, d.left[0], time.Now()
	both := twoPages{want: &backends.Page{Table: t}, have: &backends.Page{Table: t}}
	through, more, err := both.read(ctx, x.target, x.source, d.after, d.rows)
	if err != nil {
		return false, err
	}
	var sum backends.Digest
	differ := both.compare(&sum)
	stay, details, err := x.staying(ctx, x.target, x.source, differ)
	if err != nil {
		return false, err
	}
	for _, k := range stay {
		d.found("%s %s differs: %s", k.Table, k.ID, strings.ReplaceAll(details[k], "the copy", "the old place"))
	}
	d.a.Rows += int64(both.want.Len())
	d.after, d.rows = through, both.rowsFor(time.Since(started), chunkTime)
	return more, nil
}

// endTable compares by the second path, what the servers sum up themselves, and asks
// for rows that refer to none.
func (d *auditor) endTable(ctx context.Context) error {
	x, t := d.x, d.left[0]
	for _, ref := range t.References {
		orphan, err := x.orphan(ctx, t, ref, x.target, x.source)
		if err != nil {
			return err
		}
		if orphan != "" {
			d.found("%s %s refers by %s to a row of %s that is not at the old place", t.Name, orphan, ref.Column, ref.Table)
		}
	}
	equal, known, err := d.sumsEqual(ctx, t)
	if err != nil {
		return err
	}
	switch {
	case !known:
		d.a.Unsummed++
	case !equal:
		d.found("the servers' own sums of %s differ", t.Name)
	}
	d.left, d.after = d.left[1:], ""
	return nil
}

// sumsEqual compares what both servers sum up. known: no write came in between.
func (d *auditor) sumsEqual(ctx context.Context, t *backends.Table) (equal, known bool, err error) {
	x := d.x
	for range auditSums {
		if _, err := x.drainOnce(ctx, x.target, x.source); err != nil {
			return false, false, err
		}
		var sums [2][]int64
		for i, s := range []backends.Store{x.target, x.source} {
			if err := s.Read(ctx, func(r backends.Reader) (err error) {
				sums[i], err = r.Sums(t)
				return err
			}); err != nil {
				return false, false, err
			}
		}
		left, err := x.target.Backlog(ctx)
		if err != nil {
			return false, false, err
		}
		equal = slices.Equal(sums[0], sums[1])
		if equal || left == 0 {
			return equal, true, nil
		}
	}
	return false, false, nil
}

func (d *auditor) found(format string, args ...any) {
	d.a.Findings++
	if len(d.a.Found) < auditShown {
		d.a.Found = append(d.a.Found, fmt.Sprintf(format, args...))
	}
}

// end looks for rows of others and tells the result.
func (d *auditor) end(ctx context.Context) error {
	x := d.x
	for _, s := range []backends.Store{x.target, x.source} {
		table, id, err := x.stranger(ctx, s)
		if err != nil {
			return err
		}
		if id != "" {
			d.found("%s %s on %s belongs to another storefront", table, id, s.Place().Backend)
		}
	}
	return d.tell(ctx)
}

// tell writes the result into the move's story, and raises the alarm if there is reason.
func (d *auditor) tell(ctx context.Context) error {
	x := d.x
	done := d.a
	d.a = Audit{}
	done.Took = time.Since(d.began).Microseconds()
	d.plan(time.Now())
	data := done
	err := x.save(ctx, "audit", &data, func(tx control.Tx, m *Move) error {
		data.EndedAt = tx.Now()
		if data.Findings == 0 && m.placesDiffer() { // and what did not come about for that may now
			m.Cause, m.Advice = "", ""
		}
		m.Stats.Audit, m.Stats.Suspected = &data, false
		if data.Asked {
			answer(WantVerify)(m)
		}
		return nil
	})
	if err != nil {
		return err
	}
	result := "equal"
	if done.Findings > 0 {
		result = "different"
		x.log.ErrorContext(ctx, "the places of a move differ while it could still be rolled back",
			"move", x.m.ID, "storefront", x.m.Storefront, "findings", done.Findings, "found", done.Found, "to do", x.m.auditAdvice())
	}
	x.metrics.audits.WithLabelValues(result).Inc()
	return nil
}

// explainAudit says what the last comparison of both places found.
func explainAudit(m *Move, now int64) []Wait {
	a := m.Stats.Audit
	switch {
	case a == nil:
		return nil
	case a.Findings == 0:
		return []Wait{{For: "audit", Detail: fmt.Sprintf("both places were compared %s ago: %d rows are equal", span(now-a.EndedAt), a.Rows)}}
	}
	return []Wait{{
		For: "audit", Detail: fmt.Sprintf("ALARM: both places were compared %s ago and differ, in %d findings: %s", span(now-a.EndedAt), a.Findings, strings.Join(a.Found, "; ")),
		Todo: m.auditAdvice(),
	}}
}
