package migration

import (
	"context"

	"smartseller/backends"
	"smartseller/platform/control"
)

// settle ends a crossing that an owner that died had begun, as far as the storefront
// waits for it: the old place opens again, or the new one opens. For that it takes one
// place alone, because the other may be out of reach, and the storefront must not wait
// for it. What is left is done by cross, when both can be reached.
func (x *run) settle(ctx context.Context) error {
	switch x.m.Phase {
	case CuttingOver, RollingBack:
	case Cancelling:
		return x.unseal(ctx)
	default:
		return nil
	}
	back := x.m.Phase == RollingBack
	switch x.m.Cut {
	case Cutting, Aborted:
		if err := x.openOne(ctx, back); err != nil {
			return err
		}
		return x.abort(ctx, x.crossing(back))
	case Committed:
		if err := x.openOne(ctx, !back); err != nil {
			return err
		}
		c := x.crossing(back)
		f, err := c.to.Fence(ctx)
		if err != nil || f.State == backends.Active && f.Epoch == c.epoch+1 {
			return err
		}
		return x.openNew(ctx, c)
	}
	return nil
}

// unseal opens the old place of a cutover that was under way when the move was told, or
// had, to end, and notes that it is open.
func (x *run) unseal(ctx context.Context) error {
	if x.m.Cut == NotCut {
		return nil
	}
	if err := x.openSource(ctx); err != nil {
		return err
	}
	f, err := x.source.Fence(ctx)
	if err != nil {
		return err
	}
	shut := f.State == backends.Sealed || f.State == backends.Closed
	if x.m.Cut != Aborted || f.Move == x.m.ID && shut { // otherwise open again, and perhaps given up
		if err := x.abort(ctx, x.forward()); err != nil {
			return err
		}
	}
	return x.save(ctx, unsaid, nil, func(_ control.Tx, m *Move) error {
		m.Cut = NotCut
		return nil
	})
}

func (x *run) openOne(ctx context.Context, target bool) error {
	if target {
		return x.openTarget(ctx)
	}
	return x.openSource(ctx)
}

func (x *run) crossing(back bool) crossing {
	if back {
		return x.backward()
	}
	return x.forward()
}
