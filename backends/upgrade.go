package backends

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"smartseller/platform/fault"
)

// Reasons why a place is not upgraded.
var (
	ErrPlaceMoving = fault.New(fault.Conflict, "place_moving", "A move must end before the place is upgraded.")
	ErrNewerSchema = fault.New(fault.Conflict, "schema_newer",
		"The place was upgraded by a newer program than this one: run that one, or one that is newer still.")
)

// settled are the phases of an open move in which neither place is being made equal to
// the other, or where the old one is upgraded first.
var settled = []string{"planned", "watching", "finalizing", "cancelling"}

// Upgrade brings a place to the newest tenant schema; with it, all that share its
// database. While a rollback window is open the old place goes first, since it takes
// the new one's rows. ErrPlaceMoving names a move that is in the way, unless it is own,
// the one in whose name the caller acts ("": none); ErrNewerSchema leaves a place alone
// that a newer program has upgraded. One that is up to date is no error; a
// shared one gets back the guard of its tables where somebody took that away.
func (d *Directory) Upgrade(ctx context.Context, p Place, own string) error {
	return d.upgrade(ctx, p, own, map[Place]bool{})
}

func (d *Directory) upgrade(ctx context.Context, p Place, own string, met map[Place]bool) error {
	b, err := d.Backend(ctx, p.Backend)
	if err != nil {
		return err
	}
	whole := p
	if b.Shared() {
		whole = Place{Backend: p.Backend}
	}
	if met[whole] { // two shared databases may each hold old places of the other
		return nil
	}
	met[whole] = true
	schema, err := b.Schema(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case schema.Unknown > 0:
		return ErrNewerSchema
	case schema.Pending == 0 && b.Shared():
		return b.Upgrade(ctx, p) // changes no schema, and puts back what guards its tables
	case schema.Pending == 0:
		return nil
	}
	open, err := d.Involved(ctx, p.Backend)
	if err != nil {
		return err
	}
	for _, m := range open {
		if m.Move == own || !b.Shared() && m.From.Storefront != p.Storefront {
			continue
		}
		if !slices.Contains(settled, m.Phase) {
			return fault.New(ErrPlaceMoving.Kind, ErrPlaceMoving.Code,
				"Move %s is %s and both of its places must keep their schema: wait for it, or cancel it, then upgrade again.", m.Move, m.Phase)
		}
		if m.Phase == "watching" && m.Into.Backend == p.Backend {
			if err := d.upgrade(ctx, m.From, own, met); err != nil && !errors.Is(err, ErrNoPlace) {
				return fmt.Errorf("the old place, on %s: %w", m.From.Backend, err)
			}
		}
	}
	return b.Upgrade(ctx, p)
}
