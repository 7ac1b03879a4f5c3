package migration

import (
	"context"
	"fmt"
	"time"

	"smartseller/platform/control"
	"smartseller/platform/fault"
)

// Drill is the mode of a move that is an exercise: it moves, lets the storefront live
// at the new place for a while, rolls back by itself, and reports how that went.
const Drill = "drill"

const drillSeconds = 600 // where an operator does not say how long

// DrillReport says how an exercise went. What an instance counted that died before it wrote it
// down is left out; latencies are those of the last minute, at the instance that ran the move,
// and 0 when it saw too few requests to tell.
type DrillReport struct {
	Passed    bool   `json:"passed"`
	Verdict   string `json:"verdict"`
	Ready     int64  `json:"ready_micros" doc:"From its beginning until it was verified, microseconds"`
	Stall     int64  `json:"stall_micros" doc:"For which writes waited on the way, microseconds"`
	Served    int64  `json:"served_micros" doc:"For which the storefront lived at the new place, microseconds"`
	Changes   int64  `json:"changes" doc:"Written there, and brought back"`
	Back      int64  `json:"back_micros" doc:"From the word to roll back until the old place was decided on, microseconds"`
	BackStall int64  `json:"back_stall_micros" doc:"For which writes waited on the way back, microseconds"`
	P95Before int64  `json:"p95_before_micros,omitempty" doc:"Of requests at the old place, before the cutover, microseconds"`
	P95There  int64  `json:"p95_there_micros,omitempty" doc:"Of requests at the new place, before the way back, microseconds"`
}

func (o Options) drill() time.Duration {
	if o.DrillSeconds > 0 {
		return time.Duration(o.DrillSeconds) * time.Second
	}
	return drillSeconds * time.Second
}

func (o Options) checkDrill() error {
	if o.DrillSeconds != 0 && o.Mode != Drill {
		return fault.InvalidField("/options/drill_seconds", "not_a_drill", "is for the mode drill alone")
	}
	return nil
}

// drilled says that the storefront has lived at the new place for as long as the drill
// asks. One whose rollback was refused waits for an operator, also when the cause has gone since:
// the hour is another one.
func (x *run) drilled(ctx context.Context) (bool, error) {
	if x.m.Options.Mode != Drill || x.m.awaitsOperator() {
		return false, nil
	}
	return x.lived(ctx, x.m.Options.drill())
}

// awaitsOperator says that a rollback or a finalize was refused, and that nothing goes on unasked.
func (m *Move) awaitsOperator() bool { return m.Cause != "" || m.Stats.RollbackRefused != "" }

// windowOver says that the old place is not wanted any more. A drill's is, until the
// storefront is back there: an exercise decides nothing.
func (x *run) windowOver(ctx context.Context) (bool, error) {
	if x.m.Options.Mode == Drill {
		return false, nil
	}
	return x.lived(ctx, x.m.Options.window())
}

// lived says that the storefront has lived at the new place for so long. The control
// database decides, which has noted since when: this machine's clock only says when to ask,
// for one that is wrong must not end a way back.
func (x *run) lived(ctx context.Context, long time.Duration) (over bool, err error) {
	until := x.m.Stats.CommittedAt + long.Microseconds()
	if x.now().UnixMicro() <= until {
		return false, nil
	}
	err = x.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		over = tx.Now() > until
		return nil
	})
	return over, err
}

// reportDrill judges an exercise that ends; nil for a move that is none.
func (m *Move) reportDrill(outcome Phase) *DrillReport {
	if m.Options.Mode != Drill {
		return nil
	}
	s := m.Stats
	d := &DrillReport{
		Ready: m.measured().Ready, Stall: s.StallMicros, Served: s.BackAt - s.CommittedAt, Changes: s.Captured - s.CapturedBefore,
		Back: s.BackAt - s.PhaseStartedAt[RollingBack], BackStall: s.BackStallMicros, P95Before: s.P95Before, P95There: s.P95There,
	}
	switch {
	case outcome != RolledBack:
		d.Verdict = "the storefront was not brought back: the move was finalized, it stays at the new place"
		d.Served, d.Back = s.PhaseStartedAt[Finalizing]-s.CommittedAt, 0
	case s.RollbackRefused != "":
		d.Verdict = "brought back when an operator asked again; before that it did not come about: " + s.RollbackRefused
	default:
		d.Passed, d.Verdict = true, "brought back with nothing lost: "+s.Gates[verificationGate]
	}
	return d
}

func (m *Move) explainDrill(now int64) Wait {
	if m.awaitsOperator() {
		return Wait{
			For: "operator", Detail: "a drill; the storefront could not be brought back, and stays at the new place in step with the old one until somebody decides",
			Todo: fmt.Sprintf("smartseller move rollback %s (once what is named above is put right) or move finalize", m.ID),
		}
	}
	until := m.Stats.CommittedAt + m.Options.drill().Microseconds()
	return Wait{
		For: "window", Detail: fmt.Sprintf("a drill; the storefront lives at the new place, and is brought back by itself in %s", span(until-now)),
		Todo: fmt.Sprintf("nothing, or bring it back now: smartseller move rollback %s", m.ID),
	}
}
