package migration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"smartseller/backends"
)

// checkReferences asks, at the target, for rows that refer to none. Rows of one
// transaction may arrive in two batches: what is missing is looked for again after a drain.
func (x *run) checkReferences(ctx context.Context, t *backends.Table, from, to backends.Store) error {
	const patience = 2
	for _, ref := range t.References {
		for round := 1; ; round++ {
			var orphan string
			err := to.Read(ctx, func(r backends.Reader) (err error) {
				orphan, err = r.Orphan(t, ref)
				return err
			})
			if err != nil {
				return err
			}
			if orphan == "" {
				break
			}
			if round > patience {
				return &mismatchError{fmt.Sprintf("verification failed: %s %s refers by %s to a row of %s that is not at the target; nothing was cut over", t.Name, orphan, ref.Column, ref.Table)}
			}
			if _, err := x.drainOnce(ctx, from, to); err != nil {
				return err
			}
		}
		x.gate("references of "+t.Name, "hold")
	}
	return nil
}

func (x *run) gate(name, result string) {
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
		return &mismatchError{"the reverse canary did not arrive: a rollback would not work, so nothing was cut over"}
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

// gateTries: a module's gate compares two snapshots, between which customers go on.
// It fails when it fails again and again, each time with all that was captured
// brought over.
const gateTries = 5

func (x *run) askGates(ctx context.Context) error {
	if err := x.checkSchema(ctx); err != nil {
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
		switch {
		case err != nil:
			return err
		case verdict == nil:
			x.gate(g.Name, found)
			return nil
		case try == gateTries:
			return &mismatchError{fmt.Sprintf("gate %s: %s; nothing was cut over", g.Name, verdict)}
		}
	}
}

// checkSchema holds both places against the catalog: a column that only one of
// them has would be lost, or missed, without a word.
func (x *run) checkSchema(ctx context.Context) error {
	for name, s := range map[string]backends.Store{"source": x.source, "target": x.target} {
		err := s.Read(ctx, func(r backends.Reader) error {
			for _, t := range x.directory.Catalog().Moving() {
				live, err := r.Columns(t)
				if err != nil {
					return err
				}
				if text := schemaDifference(t, live); text != "" {
					return &mismatchError{fmt.Sprintf("the schema of the %s is not this program's: %s; upgrade it, then start the move again", name, text)}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	x.gate("schema", "equal")
	return nil
}

// schemaDifference names the columns that a table lacks or has too many; "" for none.
func schemaDifference(t *backends.Table, live []string) string {
	wanted := []string{"storefront_id"}
	for _, c := range t.Columns {
		wanted = append(wanted, c.Name)
	}
	var found []string
	for _, name := range wanted {
		if !slices.Contains(live, name) {
			found = append(found, t.Name+" lacks "+name)
		}
	}
	for _, name := range live {
		if !slices.Contains(wanted, name) {
			found = append(found, t.Name+" has "+name+", which nobody declared")
		}
	}
	return strings.Join(found, ", ")
}
