package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"smartseller/backends"
)

// checkReferences asks, at the target, for rows that refer to none.
func (x *run) checkReferences(ctx context.Context, t *backends.Table, from, to backends.Store) error {
	for _, ref := range t.References {
		orphan, err := x.orphan(ctx, t, ref, from, to)
		if err != nil {
			return err
		}
		if orphan != "" {
			return x.refuse(referencesGate, fmt.Sprintf("%s %s refers by %s to a row of %s that is not at the target", t.Name, orphan, ref.Column, ref.Table),
				"look whether the source lacks that row too: then put right the row that refers to it; otherwise look who changes the target")
		}
	}
	return nil
}

// orphan is the key of a row at one place that refers to none there; "": there is none.
// Rows of one transaction may arrive in two batches: what is missing is looked for
// again after a drain.
func (x *run) orphan(ctx context.Context, t *backends.Table, ref backends.Reference, from, to backends.Store) (key string, err error) {
	const patience = 2
	for round := 1; ; round++ {
		err := to.Read(ctx, func(r backends.Reader) (err error) {
			key, err = r.Orphan(t, ref)
			return err
		})
		if err != nil || key == "" || round > patience {
			return key, err
		}
		x.draining.Lock()
		_, err = x.drainOnce(ctx, from, to)
		x.draining.Unlock()
		if err != nil {
			return "", err
		}
	}
}

// checkStrangers asks a target that belongs to the storefront alone for rows of another one.
func (x *run) checkStrangers(ctx context.Context, to backends.Store) error {
	table, id, err := x.stranger(ctx, to)
	if err == nil && id != "" {
		err = x.refuse(strangersGate, fmt.Sprintf("%s %s at the target belongs to another storefront", table, id), "look who writes there beside this move")
	}
	if err == nil {
		x.gate(strangersGate, "none")
	}
	return err
}

// stranger is a row of another storefront in a place that belongs to one alone; "": there is none.
func (x *run) stranger(ctx context.Context, s backends.Store) (table, id string, err error) {
	err = s.Read(ctx, func(r backends.Reader) error {
		for _, t := range x.directory.Catalog().Moving() {
			found, err := r.Stranger(t)
			if err != nil || found != "" {
				table, id = t.Name, found
				return err
			}
		}
		return nil
	})
	return table, id, err
}

// The names of gates that stand in the report and are spoken of in several places.
const (
	verificationGate = "verification"
	referencesGate   = "references"
	strangersGate    = "rows of other storefronts"
)

// gateError is a gate that failed: what it found, and what to do.
type gateError struct {
	found mismatchError
	todo  string
}

func (e *gateError) Error() string { return e.found.text }
func (e *gateError) Unwrap() error { return &e.found }

// refuse notes in the report what a gate found wrong, and is the error that ends the move.
func (x *run) refuse(gate, found, todo string) error {
	x.gate(gate, "failed: "+found+"; "+todo)
	return &gateError{mismatchError{"gate " + gate + ": " + found + "; nothing was cut over"}, todo}
}

// judged notes a difference that a comparison found as the failure of its gate. On the way back
// there are none: see stayAhead.
func (x *run) judged(gate string, err error) error {
	var wrong *mismatchError
	var noted *gateError
	if x.m.Phase != RollingBack && errors.As(err, &wrong) && !errors.As(err, &noted) {
		todo := "find out who changes rows at the target beside this move, or which disk there errs; then start the move again, which copies everything anew"
		x.gate(gate, "failed: "+wrong.text+"; "+todo)
		return &gateError{*wrong, todo}
	}
	return err
}

func (x *run) gate(name, result string) {
	x.saving.Lock()
	defer x.saving.Unlock()
	if x.m.Stats.Gates == nil {
		x.m.Stats.Gates = map[string]string{}
	}
	x.m.Stats.Gates[name] = result
}

// openReverse turns capture on at the target before it can take a write, and
// sends a row back the way that a rollback would come.
func (x *run) openReverse(ctx context.Context) error {
	err := x.target.Change(ctx, x.token, backends.Transition{From: []backends.State{backends.Loading}, To: backends.Loading, Capture: true})
	if err != nil {
		return err
	}
	k := x.canary()
	row := backends.Row{k.ID, x.m.ID, time.Now().UnixMicro()}
	put := backends.Batch{Keys: []backends.Key{k}, Rows: map[backends.Key]backends.Row{k: row}}
	if err := x.target.Apply(ctx, x.token, put); err != nil {
		return err
	}
	if err := x.bring(ctx, x.target, x.source, put.Keys, nil); err != nil {
		return err
	}
	differ, _, err := x.differing(ctx, x.target, x.source, put.Keys)
	if err != nil {
		return err
	}
	if err := x.hook(ctx, "canary"); err != nil {
		return err
	}
	if err := x.eraseCanary(ctx, x.source, x.target); err != nil {
		return err
	}
	if len(differ) > 0 {
		return x.refuse("reverse canary", "a row that was sent from the target to the source did not arrive: a rollback would lose what is written",
			"find out what beside the move removes or changes rows at the source, such as a trigger or another program")
	}
	x.gate("reverse canary", "arrived")
	return nil
}

// canary is the row that travels back before the cutover, one to a move, so that
// whoever takes the move over knows what to erase.
func (x *run) canary() backends.Key {
	return backends.Key{Table: CanaryTable.Name, ID: x.m.ID}
}

func (x *run) eraseCanary(ctx context.Context, places ...backends.Store) error {
	for _, s := range places {
		if err := s.Apply(ctx, x.token, backends.Batch{Keys: []backends.Key{x.canary()}}); err != nil {
			return err
		}
	}
	return nil
}

// A module's gate compares two snapshots, between which customers go on. It fails when it
// fails again and again, each time with all that was captured brought over; and at once
// when it names a row (rowError) that nobody has changed since. Of a busy row it may ask
// often.
const (
	gateTries = 5
	busyTries = 200
)

// rowError is an error of a gate that knows which row is wrong.
type rowError interface {
	error
	Row() backends.Key
}

func (x *run) askGates(ctx context.Context) error {
	if err := x.checkSchema(ctx, true); err != nil {
		return err
	}
	if err := x.checkPerformance(ctx); err != nil {
		return err
	}
	for _, g := range x.gates {
		if err := x.ask(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (x *run) ask(ctx context.Context, g Gate) error {
	for try := 1; ; try++ {
		if err := x.heed(); err != nil {
			return err
		}
		if _, err := x.drainOnce(ctx, x.source, x.target); err != nil {
			return err
		}
		var found string
		var verdict error
		err := x.source.Read(ctx, func(source backends.Reader) error {
			return x.target.Read(ctx, func(target backends.Reader) error {
				found, verdict = g.Check(ctx, source, target)
				return nil
			})
		})
		if err != nil {
			return err
		}
		if verdict == nil {
			x.gate(g.Name, found)
			x.did(ctx)
			return nil
		}
		tries, err := x.tries(ctx, verdict)
		if err != nil {
			return err
		}
		if err := x.does(ctx, asksAgain+g.Name); err != nil {
			return err
		}
		if try >= tries {
			return x.refuse(g.Name, verdict.Error(), "see what the text names at both places; then start the move again, which copies everything anew")
		}
	}
}

// tries is how often a gate that said this is asked.
func (x *run) tries(ctx context.Context, verdict error) (int, error) {
	var named rowError
	if !errors.As(verdict, &named) {
		return gateTries, nil
	}
	if changing, err := x.changing(ctx, named.Row()); changing || err != nil {
		return busyTries, err
	}
	return 1, nil
}

// changing says whether a row has been changed at the source since the last drain. Nobody
// else drains: what was changed is still noted.
func (x *run) changing(ctx context.Context, k backends.Key) (bool, error) {
	entries, err := x.source.Captured(ctx, k.Table, batchKeys)
	if err != nil {
		return false, err
	}
	noted := slices.ContainsFunc(entries, func(e backends.Entry) bool { return e.Key == k })
	return noted || len(entries) == batchKeys, nil
}

// schemaTodo is for a place whose schema is not this program's, though it is of its version.
const schemaTodo = "undo what somebody changed there by hand, or, if servers of several versions run, bring all to one"

// checkSchema holds both places against the catalog: a column that only one of
// them has would be lost, or missed, without a word. Keys are asked for when those that
// wait for the rows are there.
func (x *run) checkSchema(ctx context.Context, keys bool) error {
	for name, s := range map[string]backends.Store{"source": x.source, "target": x.target} {
		text, err := schemaDiffers(ctx, x.directory.Catalog(), s, keys)
		if err != nil {
			return err
		}
		if text != "" {
			return x.refuse("schema", fmt.Sprintf("the schema of the %s is not this program's: %s", name, text), schemaTodo+"; then start the move again")
		}
	}
	x.gate("schema", fmt.Sprintf("both places have the %d tables of this program", len(x.directory.Catalog().Moving())))
	return nil
}

// schemaDiffers says in what the first table that differs from the catalog does; "" when
// none does.
func schemaDiffers(ctx context.Context, c *backends.Catalog, s backends.Store, keys bool) (text string, err error) {
	err = s.Read(ctx, func(r backends.Reader) error {
		for _, t := range c.Moving() {
			columns, uniques, err := r.Shape(t)
			if err != nil {
				return err
			}
			found := columnsDiffer(t, columns)
			if keys {
				found = append(found, keysMissing(t, uniques)...)
			}
			if text = strings.Join(found, ", "); text != "" {
				return nil
			}
		}
		return nil
	})
	return text, err
}

// columnsDiffer names the columns that a table lacks, has too many or has otherwise.
func columnsDiffer(t *backends.Table, live []backends.Column) (found []string) {
	for _, c := range t.Columns {
		at := slices.IndexFunc(live, func(l backends.Column) bool { return l.Name == c.Name })
		switch {
		case at < 0:
			found = append(found, t.Name+" lacks "+c.Name)
		case live[at].Type != c.Type:
			found = append(found, t.Name+"."+c.Name+" is of another type")
		case live[at].Null != c.Null:
			found = append(found, t.Name+"."+c.Name+" differs in whether it may be NULL")
		}
	}
	for _, l := range live {
		if t.Column(l.Name) < 0 {
			found = append(found, t.Name+" has "+l.Name+", which nobody declared")
		}
	}
	return found
}

// keysMissing names the unique keys that a table lacks.
func keysMissing(t *backends.Table, live []string) (found []string) {
	for _, u := range t.Uniques {
		if !slices.Contains(live, u.Name) {
			found = append(found, t.Name+" lacks the unique key "+u.Name)
		}
	}
	return found
}
