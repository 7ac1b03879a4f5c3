package migration

import (
	"cmp"
	"context"
	"errors"

	"smartseller/backends"
	"smartseller/platform/control"
)

// fitAll fits the places that were acquired since the last time. A storefront that waits
// for the end of a crossing does not wait for that: see settle.
func (x *run) fitAll(ctx context.Context) error {
	for len(x.unfitted) > 0 {
		s := x.unfitted[0]
		if err := x.fit(ctx, s); err != nil {
			if errors.Is(err, backends.ErrUnreachable) {
				x.stores.Drop(s.Place())
			}
			return err
		}
		x.unfitted = x.unfitted[1:]
	}
	return nil
}

// knowsAll says errLost where a newer program has upgraded a place behind the cutover: what
// it added was not brought over, and is to be by who knows of it. Asked behind the reading
// of rows and before their keys are forgotten, it is not too late.
func (x *run) knowsAll(ctx context.Context, s backends.Store) error {
	x.saving.Lock()
	over := x.m.Phase == Watching || x.m.Phase == RollingBack
	x.saving.Unlock()
	if !over {
		return nil
	}
	schema, err := s.Schema(ctx)
	if err == nil && schema.Unknown > 0 {
		err = errLost
	}
	return err
}

// fit sees that a place has this program's schema, which the move reads and writes by.
// Before the commit point the places were made equal by the schema that they had: a
// move that an older program began ends, and can be started again. After it the place
// is upgraded. What a newer program has upgraded is left to that one: this one
// would drop what it does not know.
func (x *run) fit(ctx context.Context, s backends.Store) error {
	schema, err := s.Schema(ctx)
	if err != nil {
		return err
	}
	before := x.m.Cut != Committed && (x.m.Phase == Copying || x.m.Phase == CatchingUp || x.m.Phase == Verifying || x.m.Phase == CuttingOver)
	switch {
	case x.m.Phase == Cancelling && s.Place() == x.m.Source:
		return nil // all that is done there is to give it back, and another move may keep it as it is
	case schema.Unknown > 0 && x.m.Phase == Preparing && x.m.TenantMigrations == x.tenantMigrations && x.tenantMigrations > 0:
		return x.leaveToNewer(ctx)
	case schema.Unknown > 0 && (before || x.m.Phase == Preparing):
		return &mismatchError{"the place on " + s.Place().Backend + " was upgraded by a newer program than this one; nothing was cut over: start the move again when every server is that new"}
	case schema.Unknown > 0:
		return errLost
	case schema.Pending > 0 && before:
		return &mismatchError{"an older program began the move, and the place on " + s.Place().Backend + " must be upgraded before this one can go on; nothing was cut over: start the move again"}
	}
	return x.stores.Fit(ctx, s.Place(), x.m.ID)
}

// leaveToNewer has a newer program, of which one is there as long as servers are replaced one by
// one, begin the move instead of this one.
func (x *run) leaveToNewer(ctx context.Context) error {
	needs := x.tenantMigrations + 1
	err := x.save(ctx, "left_to_newer", map[string]any{"tenant_migrations": needs}, func(_ control.Tx, m *Move) error {
		m.TenantMigrations = needs
		return nil
	})
	if err == nil {
		x.handBack(ctx)
	}
	return cmp.Or(err, errLost)
}
