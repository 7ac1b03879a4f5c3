package upgrades

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/failpoint"
	"smartseller/platform/fault"
)

const (
	lookEvery    = time.Second
	upgradeLease = 10 * time.Second
	// hostNotice is how long a run waits for the instances of each host to take part.
	hostNotice = 3 * lookEvery
	// enrolEvery is how often new places are looked for while others wait: to do so every
	// second costs more than to be late.
	enrolEvery = time.Minute
	// placeWithin bounds the upgrade of one place.
	placeWithin = time.Hour
	// tryAgain is how long a place that is being moved is let be.
	tryAgain = 15 * time.Second
)

// Upgrader carries runs out: one instance at a time, whichever has the lease, and for the
// files of each host one that is there. What it has done is in the control database, and to
// upgrade a place twice does no harm: it may die anywhere, and another one goes on.
type Upgrader struct {
	service *Service
	leases  *control.HostLeases
	log     *slog.Logger
	hook    func(ctx context.Context, point string) error

	met      string // the run under way, and since when
	since    time.Time
	enrolled time.Time     // when new places were looked for last
	notice   time.Duration // for so long the instances of other hosts may take to meet it

	cancel context.CancelFunc
	done   chan struct{}
}

// UpgraderOptions are what an upgrader is made of.
type UpgraderOptions struct {
	Service *Service
	Log     *slog.Logger
	Name    string        // of this instance; "": of this process
	Host    string        // where it is; "": as the system says
	Lease   time.Duration // for so long a run waits when an instance dies; 0: 10 s
	// Hook is called behind each upgrade, before it is noted, as "U1"; nil: the
	// failpoints that the process was built with. Its error ends the step on the spot, as a
	// killed process would.
	Hook func(ctx context.Context, point string) error
}

// NewUpgrader makes an upgrader; Start starts it.
func NewUpgrader(o UpgraderOptions) *Upgrader {
	if o.Lease == 0 {
		o.Lease = upgradeLease
	}
	if o.Hook == nil {
		o.Hook = func(_ context.Context, point string) error {
			failpoint.Reach(point)
			return nil
		}
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // whoever does not know upgrades what is on no certain host
	}
	leases := &control.HostLeases{DB: o.Service.db, Work: leaseName, Holder: o.Name, Host: o.Host, Life: o.Lease}
	return &Upgrader{service: o.Service, leases: leases, log: o.Log, hook: o.Hook, notice: hostNotice}
}

// Start begins to carry runs out.
func (u *Upgrader) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	u.cancel, u.done = cancel, make(chan struct{})
	go u.loop(ctx)
}

// Stop returns when nothing runs any more, and hands the leases back, so that another
// instance goes on at once.
func (u *Upgrader) Stop(ctx context.Context) {
	u.cancel()
	<-u.done
	if err := u.leases.Release(ctx); err != nil {
		u.log.WarnContext(ctx, "a lease could not be handed back; it runs out by itself", "error", err)
	}
}

func (u *Upgrader) loop(ctx context.Context) {
	defer close(u.done)
	tick, sweep := time.NewTicker(lookEvery), time.NewTicker(forgetEvery)
	defer tick.Stop()
	defer sweep.Stop()
	for {
		worked, err := u.Step(ctx)
		if err != nil && ctx.Err() == nil {
			u.log.WarnContext(ctx, "the upgrade of schemas stands still", "error", err)
		}
		if worked && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			if err := u.service.forget(ctx, runsKept); err != nil && ctx.Err() == nil {
				u.log.WarnContext(ctx, "old upgrades were not forgotten", "error", err)
			}
		case <-tick.C:
		}
	}
}

// errNotNow says that a step has become pointless: the lease is lost, or the run has
// ended. The next step sees what is.
var errNotNow = errors.New("not any more")

// Step upgrades the places whose turn it is, as far as this instance has their leases;
// worked says that there may be more to do.
func (u *Upgrader) Step(ctx context.Context) (worked bool, err error) {
	worked, err = u.step(ctx)
	if errors.Is(err, errNotNow) {
		return false, nil
	}
	return worked, err
}

func (u *Upgrader) step(ctx context.Context) (worked bool, err error) {
	var run *Run
	var hosts map[string]string
	err = u.service.db.View(ctx, func(_ context.Context, tx control.Tx) error {
		if run, err = readOpen(tx); err != nil || run == nil {
			return err
		}
		hosts, err = u.service.directory.Hosts(tx)
		return err
	})
	if err == nil {
		u.meet(run)
	}
	if err != nil || run == nil || run.known > u.service.known { // that is a newer program's
		return false, err
	}
	held, err := u.hold(ctx, hosts)
	if err != nil || len(held) == 0 {
		return false, err
	}
	common := held[""]
	if common != nil {
		if told, err := u.tell(ctx, common, run, hosts); told || err != nil {
			return told, err
		}
	}
	turn, err := u.tasks(ctx, run, hosts, held)
	switch {
	case err != nil:
		return false, err
	case len(turn) > 0:
		return true, u.wave(ctx, run, turn, held)
	case common != nil:
		return u.settle(ctx, common, run)
	}
	return false, nil
}

// settle takes in places that came to be since the run began, and ends a run that has none
// left.
func (u *Upgrader) settle(ctx context.Context, lease *control.Lease, run *Run) (more bool, err error) {
	err = u.update(ctx, lease, run, func(tx control.Tx, r *Run) error {
		more = false
		if r.State != Running {
			return errNotNow
		}
		waits, err := anyWaits(tx, r)
		if err != nil || waits && time.Since(u.enrolled) < enrolEvery {
			return err
		}
		n, err := enrol(tx, r)
		u.enrolled = time.Now()
		if more = n > 0; more || waits || err != nil {
			return err
		}
		if err := count(tx, r); err != nil {
			return err
		}
		u.log.InfoContext(ctx, "the schemas of all places had their turn", "run", r.ID, "done", r.Places[Done], "failed", r.Places[Failed])
		return setRun(tx, r, Completed)
	})
	return more, err
}

// update changes a run while this instance has a lease.
func (u *Upgrader) update(ctx context.Context, lease *control.Lease, run *Run, change func(tx control.Tx, r *Run) error) error {
	return u.service.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		held, err := lease.Held(tx)
		if err != nil {
			return err
		}
		fresh, err := readRun(tx, run.ID, true)
		if err == nil && (!held || fresh.known != run.known) {
			err = errNotNow
		}
		if err != nil {
			return err
		}
		return change(tx, fresh)
	})
}

// wave upgrades places side by side, and keeps the leases meanwhile. What becomes of one
// cuts off no other: a migration that is cut off has to begin anew.
func (u *Upgrader) wave(ctx context.Context, run *Run, turn []task, held map[string]*control.Lease) error {
	ctx, cancel := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		u.keep(ctx, cancel, held)
	}()
	defer func() {
		cancel()
		<-kept
	}()
	var group errgroup.Group
	group.SetLimit(placesAside)
	errs := make([]error, len(turn))
	for n, t := range turn {
		group.Go(func() error {
			if err := u.one(ctx, run, t); !errors.Is(err, errNotNow) { // of which the next step sees why
				errs[n] = err
			}
			return nil
		})
	}
	return errors.Join(append(errs, group.Wait())...)
}

// keep renews leases until ctx ends, and ends it when another instance has one of them.
func (u *Upgrader) keep(ctx context.Context, cancel func(), held map[string]*control.Lease) {
	tick := time.NewTicker(u.leases.Life / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, lease := range held {
			if has, err := lease.Hold(ctx); err == nil && !has {
				cancel()
			}
		}
	}
}

// one gives a place its turn, unless the run has ended meanwhile.
func (u *Upgrader) one(ctx context.Context, run *Run, t task) error {
	err := u.update(ctx, t.lease, run, func(_ control.Tx, r *Run) error {
		if r.State != Running {
			return errNotNow
		}
		return nil
	})
	if err != nil {
		return err
	}
	p := t.Place
	err = u.service.bring(ctx, &p)
	if err := u.hook(ctx, "U1"); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errNotNow // it was cut off, and says nothing of the place
	}
	if errors.Is(err, control.ErrAway) {
		return err // which says nothing of the place either: it waits still
	}
	due := u.judge(ctx, &p, err)
	return u.update(ctx, t.lease, run, func(tx control.Tx, r *Run) error { return note(tx, r, p, t.Cause, due) })
}

// judge says what has become of a place that had its turn, and, if it waits still, for how
// long it is let be.
func (u *Upgrader) judge(ctx context.Context, p *Place, err error) (due int64) {
	var far *backends.Elsewhere
	switch {
	case err == nil:
		p.State, p.Cause = Done, ""
	case errors.Is(err, backends.ErrPlaceMoving):
		due, p.Cause = tryAgain.Microseconds(), fault.Of(err).Detail
	case errors.As(err, &far): // it has just moved there
		due, p.Cause = tryAgain.Microseconds(), awaits(far.Host)
	default:
		p.State, p.Cause = Failed, u.why(ctx, *p, err)
	}
	return due
}

// note writes what became of a place that waited because of was.
func note(tx control.Tx, r *Run, p Place, was string, due int64) error {
	switch {
	case p.State == Waiting && r.State != Running: // what waits was cancelled with the run
		p.State = Skipped
	case p.State == Waiting && p.Cause == was:
		return putOff(tx, p, tx.Now()+due)
	}
	if err := setPlace(tx, r, p, tx.Now()+due); err != nil || r.State == Running {
		return err
	}
	return changed(tx, r) // so that the end is told again, with these counts
}

// why tells operators of a failure; what has no words for them goes into the log.
func (u *Upgrader) why(ctx context.Context, p Place, err error) string {
	if said := new(fault.Error); errors.As(err, &said) {
		return told(said)
	}
	u.log.WarnContext(ctx, "a place cannot be upgraded", "backend", p.Backend, "storefront", p.Storefront, "error", err)
	return fmt.Sprintf("It cannot be upgraded on %s; the log of the server that tried says why.", p.Backend)
}
