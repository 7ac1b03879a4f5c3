package planning

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"smartseller/modules/migration"
	"smartseller/platform/clock"
	"smartseller/platform/control"
)

const (
	schedulerLease = 10 * time.Second
	lookEvery      = time.Second
)

// Scheduler carries plans out: one instance at a time, whichever has the lease. All
// that it knows is in the control database, and each of its steps is one transaction
// that checks the lease and the plan's state once more; so it may die anywhere, and
// one that was stopped for long does nothing when it wakes up.
type Scheduler struct {
	db    *control.DB
	moves *migration.Service
	clock clock.Clock
	log   *slog.Logger
	lease *control.Lease
	days  recentDays

	cancel context.CancelFunc
	done   chan struct{}
}

// SchedulerOptions are what a scheduler is made of.
type SchedulerOptions struct {
	DB    *control.DB
	Moves *migration.Service
	Clock clock.Clock // that windows, blackouts and quiet hours go by; nil: clock.System
	Log   *slog.Logger
	Name  string        // of this instance; "": of this process
	Lease time.Duration // for so long plans wait when an instance dies; 0: 10 s
}

// NewScheduler makes a scheduler; Start starts it.
func NewScheduler(o SchedulerOptions) *Scheduler {
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Lease == 0 {
		o.Lease = schedulerLease
	}
	return &Scheduler{db: o.DB, moves: o.Moves, clock: o.Clock, log: o.Log, lease: control.NewLease(o.DB, "plans", o.Name, o.Lease)}
}

// Start begins to carry plans out.
func (s *Scheduler) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, make(chan struct{})
	go s.loop(ctx)
}

// Stop returns when nothing runs any more, and hands the lease back, so that another
// instance goes on at once.
func (s *Scheduler) Stop(ctx context.Context) {
	s.cancel()
	<-s.done
	if err := s.lease.Release(ctx); err != nil {
		s.log.WarnContext(ctx, "a lease could not be handed back; it runs out by itself", "error", err)
	}
}

func (s *Scheduler) loop(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.Step(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "plans stand still", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// errNotNow says that a step has become pointless: the lease is lost, or the plan's
// state has changed. The next step sees what is.
var errNotNow = errors.New("not any more")

// Step does what is due now, if this instance has the lease.
func (s *Scheduler) Step(ctx context.Context) error {
	var plans []*Plan
	err := s.db.View(ctx, func(_ context.Context, tx control.Tx) (err error) {
		plans, err = readDuePlans(tx)
		return err
	})
	if err != nil || len(plans) == 0 {
		return err
	}
	if held, err := s.lease.Hold(ctx); err != nil || !held {
		return err
	}
	var failed error // of one plan, which stops no other
	for _, p := range plans {
		if err := s.carryOut(ctx, p); err != nil && !errors.Is(err, errNotNow) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// carryOut does what is due of one plan.
func (s *Scheduler) carryOut(ctx context.Context, p *Plan) error {
	err := s.update(ctx, p, func(tx control.Tx, p *Plan) error {
		if err := follow(tx, p); err != nil {
			return err
		}
		return s.judge(ctx, tx, p)
	})
	if err != nil {
		return err
	}
	switch p.State {
	case Running:
		if err := s.cutOver(ctx, p); err != nil {
			return err
		}
		return s.begin(ctx, p)
	case Cancelling:
		return s.undo(ctx, p)
	}
	return nil
}

// update changes a plan while this instance has the lease and the plan is in the state
// that was read; p becomes what it is then.
func (s *Scheduler) update(ctx context.Context, p *Plan, change func(tx control.Tx, p *Plan) error) error {
	var fresh *Plan
	err := s.db.Update(ctx, func(_ context.Context, tx control.Tx) (err error) {
		if fresh, err = s.still(tx, p); err != nil {
			return err
		}
		return change(tx, fresh)
	})
	if err == nil {
		*p = *fresh
	}
	return err
}

// still reads a plan anew, its row locked, and the lease as well: whoever takes the lease
// over waits for this transaction.
func (s *Scheduler) still(tx control.Tx, p *Plan) (*Plan, error) {
	held, err := s.lease.Held(tx)
	if err != nil {
		return nil, err
	}
	fresh, err := readPlan(tx, p.ID, true)
	if err == nil && (!held || fresh.State != p.State) {
		err = errNotNow
	}
	return fresh, err
}

// judge stops a plan whose failures are over its budget, and ends one that is done.
func (s *Scheduler) judge(ctx context.Context, tx control.Tx, p *Plan) error {
	failed := p.Moves[Failed] - p.forgiven
	underWay := p.Moves[Moving] > 0
	switch {
	case p.State == Running && failed > p.Options.FailureBudget:
		p.Cause = p.stoppedBecause(failed)
		s.log.WarnContext(ctx, "a plan has stopped", "plan", p.ID, "failed", failed)
		return errors.Join(migration.TakeBackCutovers(tx, p.ID, "its plan has stopped"), setPlan(tx, p, Stopped))
	case p.State == Running && !underWay && p.Moves[Waiting]+p.Moves[Moved] == 0:
		return setPlan(tx, p, Completed)
	case p.State == Cancelling && !underWay:
		return setPlan(tx, p, Cancelled)
	}
	return nil
}
