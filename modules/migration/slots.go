package migration

import (
	"context"
	"time"
)

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
		began := time.Now()
		if err := x.standBy(ctx, &idle); err != nil {
			return err
		}
		x.untried(time.Since(began)) // it only waited
	}
	return nil
}

func (x *run) giveSlotBack() {
	x.leaveSlot()
	x.slotless = true
}
