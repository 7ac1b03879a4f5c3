package backends

import (
	"context"
	"errors"
	"fmt"
	"time"

	"smartseller/migrations"
	"smartseller/platform/database"
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

// schemaWithin bounds the wait for an old place that may be away.
const schemaWithin = 5 * time.Second

// Upgrade brings a place to the newest tenant schema; with it, all that share its
// database. While a rollback window is open the old place goes first, since it takes
// the new one's rows; one that is away goes when it has come back, before it takes any.
// ErrPlaceMoving names a move that is in the way, unless it is own, the one in whose name the caller acts ("": none); ErrNewerSchema leaves a place alone
// that a newer program has upgraded. One that is up to date is no error; a
// shared one gets back the guard of its tables where somebody took that away.
func (d *Directory) Upgrade(ctx context.Context, p Place, own string) error {
	return (&upgrading{directory: d, own: own, met: map[Place]bool{}, away: map[string]error{}}).upgrade(ctx, p)
}

// upgrading is one call of Upgrade.
type upgrading struct {
	directory *Directory
	own       string
	met       map[Place]bool   // two shared databases may each hold old places of the other
	away      map[string]error // backends that did not answer: one wait for each is enough
}

func (u *upgrading) upgrade(ctx context.Context, p Place) error {
	d := u.directory
	b, err := d.Backend(ctx, p.Backend)
	if err != nil {
		return err
	}
	whole := p
	if b.Shared() {
		whole = Place{Backend: p.Backend}
	}
	if u.met[whole] {
		return nil
	}
	u.met[whole] = true
	schema, err := u.schema(ctx, b, p)
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
	known, err := migrations.CountTenant()
	if err != nil {
		return err
	}
	open, err := d.Involved(ctx, p.Backend)
	if err != nil {
		return err
	}
	for _, m := range open {
		if m.Move == u.own || !b.Shared() && m.From.Storefront != p.Storefront {
			continue
		}
		if m.keepsSchema(int64(known)) {
			return fault.New(ErrPlaceMoving.Kind, ErrPlaceMoving.Code,
				"Move %s is %s and both of its places must keep their schema: wait for it, or cancel it, then upgrade again.", m.Move, m.Phase)
		}
		if m.Phase == "watching" && m.Into.Backend == p.Backend {
			if err := u.upgrade(ctx, m.From); err != nil && !errors.Is(err, ErrNoPlace) && !errors.Is(err, ErrUnreachable) {
				return fmt.Errorf("the old place, on %s: %w", m.From.Backend, err)
			}
		}
	}
	return b.Upgrade(ctx, p)
}

// schema reads how a place's schema stands. An old place, which is not what was asked for,
// is ErrUnreachable when its backend does not answer in time, or did not before.
func (u *upgrading) schema(ctx context.Context, b Backend, p Place) (database.Schema, error) {
	if len(u.met) == 1 {
		return b.Schema(ctx, p)
	}
	if err := u.away[p.Backend]; err != nil {
		return database.Schema{}, err
	}
	asking, cancel := context.WithTimeout(ctx, schemaWithin)
	defer cancel()
	schema, err := b.Schema(asking, p)
	if err != nil && asking.Err() != nil && ctx.Err() == nil && !errors.Is(err, ErrUnreachable) {
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if errors.Is(err, ErrUnreachable) {
		u.away[p.Backend] = err
	}
	return schema, err
}
