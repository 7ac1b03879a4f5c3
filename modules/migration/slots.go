package migration

import "context"

// awaitSlot takes the slot again that was given back, which whoever compares in whole
// needs: a server that has just come back meets a few who do, not all.
func (x *run) awaitSlot(ctx context.Context) error {
	defer x.beCalm(false)
	for idle := x.watchLeast; x.slotless; {
		if leave, free := x.takeSlot(x.slots); free {
			x.leaveSlot, x.slotless = leave, false
			return nil
		}
		if err := x.does(ctx, waitsForSlot); err != nil {
			return err
		}
		if err := x.standBy(ctx, &idle); err != nil {
			return err
		}
	}
	return nil
}

// takeSlotBack takes the slot again that a copy gave back while a place was out of reach, unless
// an operator wants something else meanwhile.
func (x *run) takeSlotBack(ctx context.Context) error {
	for x.slotless && (x.m.Phase == Copying || x.m.Phase == CatchingUp) && x.heed() == nil {
		if leave, free := x.takeSlot(x.slots); free {
			x.leaveSlot, x.slotless = leave, false
			x.did(ctx)
			return nil
		}
		if err := x.does(ctx, waitsForSlot); err != nil {
			return err
		}
		if err := pause(ctx, lookEvery); err != nil {
			return err
		}
	}
	return nil
}

func (x *run) giveSlotBack() {
	x.leaveSlot()
	x.slotless = true
}
