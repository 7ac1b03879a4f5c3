package migration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"smartseller/backends"
)

// errCrash makes a run stop where it stands, with nothing tidied up.
var errCrash = errors.New("crashed")

// run is one move while this instance holds its lease.
type run struct {
	*Runner
	token  backends.Token
	m      *Move // as persisted; changed by save alone
	cancel context.CancelCauseFunc
	intent atomic.Value  // Intent, refreshed by the heartbeat
	heard  chan struct{} // the heartbeat has learned what an operator wants
	*grip
	pace *pace // its bound is refreshed by the heartbeat

	source, target backends.Store // acquired by openSource and openTarget
	release        []func()
	unfitted       []backends.Store // acquired, and not yet held against this program's schema
	leaveSlot      func()           // the heavy part is over: another move may begin
	slotless       bool             // it has given its slot back
	stops          bool             // it was begun without a slot, to be told that it should stop
	compared       atomic.Int64     // rows, since the comparison under way began
	repaired       atomic.Int64     // of those, that differed until their changes had come
	keepVerifying  bool             // applied keys are recorded for comparison
	waits          waits            // of writes, in the last attempt to cross

	// While tables are copied or compared side by side: saving guards m, draining
	// lets one drain at a time go from reading captured keys to forgetting them. Two
	// would read the same keys, and the older rows could be applied last.
	saving, draining sync.Mutex
	saves            int  // transitions that were saved
	provedWayBack    bool // this run has compared the old place with the new one

	troubleSince  atomic.Int64   // since when nothing has worked, nanoseconds; 0: the last thing did
	erringSince   atomic.Int64   // since when that is more than a place out of reach, nanoseconds; 0: it is not
	lagSeen       time.Time      // when the old place's lag was counted last
	pauseSeen     int64          // the pause behind which all was compared
	comparedAgain time.Time      // when all was compared after it had waited
	waited        bool           // with all compared, and has not been compared since
	interrupted   int            // comparisons, one after the other, that something kept from their end
	heldAt        backends.Place // that another one holds, so that it cannot be taken over yet
	countedAt     int64          // changes that had been captured when rows were counted last
	lagTold       int64          // at how many times the longest lag the operator was told
	leftBehind    string         // the backend whose place this run gives up erasing; "": none
	sourceKept    bool           // this run gives up freeing the source
	undoing       time.Time      // since when this run undoes the move; zero: it does not
	awayRest      time.Duration  // the last one of a watched move that lacks a place
	troubleSaid   time.Time      // when the trouble was written down last
}

// run claims a move and takes it as far as it goes.
// stops: it has no slot, since it was told to stop.
func (r *Runner) run(ctx context.Context, id string, g *grip, leaveSlot func(), stops bool) {
	m, err := r.claim(ctx, id)
	if err != nil || m == nil {
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "cannot claim a move", "move", id, "error", err)
		}
		return
	}
	own, cancel := context.WithCancelCause(ctx)
	x := &run{Runner: r, token: m.token(), m: m, cancel: cancel, leaveSlot: leaveSlot, stops: stops, grip: g, heard: make(chan struct{}, 1)}
	defer func() { x.leaveSlot() }()
	x.intent.Store(m.Intent)
	stood := m.Phase == Verifying && m.Stats.VerifiedAt > 0
	x.waited = stood || m.Phase == CuttingOver && m.Options.CutoverWindow != "" // as whoever ran it may have
	x.pace = x.newPace()
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		x.heartbeat(own, m.ID, m.Gen)
	}()
	err = x.drive(own)
	cancel(errLost)
	<-beating
	x.close()
	switch {
	case errors.Is(err, errCrash), errors.Is(err, errLost):
		r.log.InfoContext(ctx, "left a move to others", "move", id, "reason", err)
		x.noteLateTarget(context.WithoutCancel(ctx), err)
	default:
		x.handBack(context.WithoutCancel(ctx))
	}
}

// drive runs step after step until the move ends, pauses or is lost.
func (x *run) drive(ctx context.Context) error {
	for x.m.EndedAt == nil {
		if !x.m.Phase.heavy() {
			x.giveSlotBack()
		} else if x.stops && x.heed() == nil { // it was told otherwise meanwhile, and needs a slot
			return nil
		}
		err := x.step(ctx)
		switch {
		case err == nil:
			x.works()
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errCrash), errors.Is(err, errLost):
			return err
		case errors.Is(err, backends.ErrStaleToken):
			return errLost
		case errors.Is(err, errPaused):
			return x.enter(ctx, Paused, answer(WantPause), func(m *Move) { m.ResumePhase = x.m.Phase })
		case errors.Is(err, errCancel):
			if err := x.enter(ctx, Cancelling, answerAll); err != nil {
				return err
			}
			continue
		}
		if x.m.Phase == Watching && errors.Is(err, backends.ErrDamaged) {
			err = errors.Join(err, x.tellDamage(ctx, err))
		}
		x.troubled(ctx, err)
		if x.hopeless(err) {
			if err := x.fail(ctx, err); err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, backends.ErrUnreachable) && x.m.Cut != Committed { // it may come back with less than it had
			x.waited, x.comparedAgain = true, time.Time{}
		}
		x.close()
		if err := x.waitOut(ctx); err != nil {
			return err
		}
		halted := time.Now()
		if err := x.learn(ctx); err != nil { // a transition may have been saved without an answer
			return err
		}
		if x.m.EndedAt != nil {
			x.tellEnd(ctx)
		}
		x.untried(time.Since(halted)) // the control database was away
	}
	return nil
}

// hopeless says that trying again is no use: then the move fails, as long as
// nothing was committed.
func (x *run) hopeless(err error) bool {
	if x.m.Cut == Committed || x.m.Phase == Cancelling || x.m.Phase == Watching || x.m.Phase == Finalizing || x.m.Phase == RollingBack {
		return false
	}
	var wrong *mismatchError
	var busy *busyError // it has had its tries
	if halts(err) {
		return false
	}
	if x.held(err) {
		return false
	}
	if errors.As(err, &wrong) || errors.As(err, &busy) || errors.Is(err, backends.ErrNotEmpty) || errors.Is(err, backends.ErrNoPlace) {
		return true
	}
	if x.interrupted >= interruptedMost {
		return true
	}
	if x.comesBack(err) {
		x.erringSince.Store(0)
		return x.lasts(x.outage)
	}
	passing := errors.Is(err, backends.ErrUnreachable) || errors.Is(err, backends.ErrCommitUnknown) || errors.Is(err, backends.ErrContended)
	return x.m.Phase == Planned || x.m.Phase == Preparing && !passing || x.errs()
}

// fail records why and takes the way of a cancelled move, so that the storefront
// serves on as if nothing had been tried.
func (x *run) fail(ctx context.Context, cause error) error {
	advice := "The storefront is where it was, and nothing was cut over. Remove the cause, then start the move again."
	var gate *gateError
	if errors.As(cause, &gate) {
		advice = "The storefront is where it was, and nothing was cut over. To do: " + gate.todo + "."
	}
	return x.enter(ctx, Cancelling, answerAll, func(m *Move) { m.Cause, m.Advice = cause.Error(), advice })
}

func (x *run) step(ctx context.Context) error {
	if err := x.settle(ctx); err != nil { // the storefront first, whatever the operator wants
		return err
	}
	if err := x.heed(); err != nil {
		return err
	}
	if err := x.hook(ctx, string(x.m.Phase)); err != nil {
		return err
	}
	switch x.m.Phase {
	case Paused:
		return x.enter(ctx, x.m.ResumePhase, answer(WantResume), rememberKept)
	case Planned:
		return x.enter(ctx, Preparing, func(m *Move) { m.TenantMigrations = x.tenantMigrations })
	}
	if err := x.open(ctx); err != nil {
		return x.decideAlone(ctx, err)
	}
	if err := x.fitAll(ctx); err != nil {
		return x.decideAlone(ctx, err)
	}
	switch x.m.Phase {
	case Preparing:
		return x.prepare(ctx)
	case Copying:
		return x.copyTables(ctx)
	case CatchingUp:
		return x.catchUp(ctx)
	case Verifying:
		return x.verify(ctx)
	case CuttingOver:
		return x.cutOver(ctx)
	case Watching:
		return x.watch(ctx)
	case RollingBack:
		return x.rollBack(ctx)
	case Finalizing:
		return x.finalize(ctx)
	case Cancelling:
		return x.undo(ctx)
	}
	return fmt.Errorf("a move cannot be run in phase %q", x.m.Phase)
}

// heed turns the operator's wish into the error that ends a step, where the phase
// allows it. Long steps ask it between their transactions.
func (x *run) heed() error {
	x.saving.Lock()
	defer x.saving.Unlock()
	want := x.intent.Load().(Intent)
	switch {
	case x.m.Phase == Cancelling || x.m.EndedAt != nil || x.m.Cut == Committed:
		return nil
	case want == WantCancel:
		return errCancel
	case want == WantYield:
		return errYield
	case want == WantPause && x.m.Phase != Paused && x.m.Cut == NotCut:
		return errPaused
	}
	return nil
}

// open acquires both places' stores and takes over their fences, so that whoever
// ran the move before can change neither any more.
func (x *run) open(ctx context.Context) error {
	err := x.openSource(ctx)
	erased := (x.m.Phase == Finalizing || x.m.Phase == Cancelling) && errors.Is(err, backends.ErrNoPlace)
	left := (x.m.Phase == Finalizing || x.m.Phase == CuttingOver && x.m.Cut == Committed) && x.mayLeave(err)
	if err != nil && !erased && !left {
		return err
	}
	if x.m.Phase == Preparing || x.m.Phase == Cancelling { // it is not there yet, or no reason to wait for
		return nil
	}
	err = x.openTarget(ctx)
	erased = x.m.Phase == RollingBack && x.m.Cut == Committed && (errors.Is(err, backends.ErrNoPlace) || x.mayLeave(err))
	if err != nil && !erased {
		return err
	}
	return nil
}

func (x *run) openSource(ctx context.Context) error {
	if x.source != nil {
		return nil
	}
	err := x.acquire(ctx, x.m.Source, &x.source)
	if errors.Is(err, backends.ErrStaleToken) && x.m.Phase == Preparing {
		if err = x.freeSource(ctx); err == nil {
			err = x.acquire(ctx, x.m.Source, &x.source)
		}
	}
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	return nil
}

func (x *run) openTarget(ctx context.Context) error {
	if x.target != nil {
		return nil
	}
	if err := x.acquire(ctx, x.m.Target, &x.target); err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	return nil
}

func (x *run) acquire(ctx context.Context, p backends.Place, into *backends.Store) error {
	s, release, err := x.stores.Acquire(ctx, p)
	if err != nil {
		return err
	}
	if err := x.heldByAnother(p, s.Takeover(ctx, x.token)); err != nil {
		release()
		if errors.Is(err, backends.ErrUnreachable) {
			x.stores.Drop(p) // it may be broken for good, though the place is not
		}
		return err
	}
	*into = s
	x.release = append(x.release, release)
	x.unfitted = append(x.unfitted, s)
	return nil
}

func (x *run) close() {
	for _, release := range x.release {
		release()
	}
	x.release, x.unfitted, x.source, x.target = nil, nil, nil, nil
}

// drop gives up a place for good: its handle must be closed before it is destroyed.
func (x *run) drop(p backends.Place) {
	x.close()
	x.stores.Drop(p)
}

// pause waits, but not longer than the run lives.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
