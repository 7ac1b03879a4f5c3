package app

import (
	"slices"

	"smartseller/modules/migration"
)

// forward are the phases of a move that succeeds, in their order.
var forward = []migration.Phase{
	migration.Planned, migration.Preparing, migration.Copying, migration.CatchingUp, migration.Verifying,
	migration.CuttingOver, migration.Watching, migration.Finalizing, migration.Completed,
}

// toCome are the phases that can follow one from which not all can. Behind the commit a move is
// neither paused nor cancelled, and one that is being undone does not turn round.
var toCome = map[migration.Phase][]migration.Phase{
	migration.Watching:    {migration.Watching, migration.RollingBack, migration.RolledBack, migration.Finalizing, migration.Completed},
	migration.RollingBack: {migration.Watching, migration.RollingBack, migration.RolledBack, migration.Finalizing, migration.Completed},
	migration.Finalizing:  {migration.Completed},
	migration.Cancelling:  {migration.Cancelled, migration.Failed, migration.Rehearsed},
}

// reached says that a move in a phase is in the one that is waited for, or has it behind it on its
// way forward, for who begins to wait late. A pause or a rollback lies beside that way: one that is
// over says nothing of where the move is now.
func reached(until, phase string) bool {
	if phase == until {
		return true
	}
	far := migration.Phase(phase)
	if far == migration.Rehearsed { // for it went as far as that
		far = migration.CuttingOver
	}
	at := slices.Index(forward, migration.Phase(until))
	return at >= 0 && at <= slices.Index(forward, far)
}

// tooLate says that a move in a phase never comes to the one that is waited for.
func tooLate(until, phase string) bool {
	left, bound := toCome[migration.Phase(phase)]
	return bound && until != "" && !slices.Contains(left, migration.Phase(until))
}
