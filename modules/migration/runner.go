package migration

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"smartseller/backends"
	"smartseller/platform/control"
	"smartseller/platform/crypto"
	"smartseller/platform/failpoint"
	"smartseller/platform/ids"
)

// How long a move may stand still before another instance takes it over. While a
// storefront is sealed that must be well under a second.
const (
	leaseNormal  = 10 * time.Second
	leaseCutting = 500 * time.Millisecond
	lookEvery    = 250 * time.Millisecond
	lookAtMost   = 100 // moves at once

	renewals      = 4   // of a lease in its life, where the runner renews it
	renewedAtOnce = 500 // leases in one statement
)

// AtOnce is how many moves one instance copies or verifies side by side, and beside them
// how many rollbacks it verifies. Those that
// wait for their cutover, or are watched after it, do not count.
const AtOnce = 4

// Runner runs moves of this instance: those it started and those whose owner
// died. Any number of runners may share a control database.
type Runner struct {
	db        *control.DB
	directory *backends.Directory
	stores    *backends.Stores
	router    *backends.Router
	keys      *crypto.Keyring
	gates     []Gate
	log       *slog.Logger
	metrics   *metrics
	instance  string
	host      string // of this process: files belong to one
	// tenantMigrations is how many this program has.
	tenantMigrations int64
	lease            time.Duration
	clock            func() time.Time // that windows of the day go by
	now              func() time.Time // this machine's clock, for what is to end so long after a moment
	// auditEvery is how long after a comparison of both places the next one begins, at most.
	auditEvery time.Duration
	cutTries   int64 // of a cutover, before the move is given up
	sealedMost time.Duration
	// fastEnough is what look-ups may take at a target, whatever they take at the source.
	fastEnough time.Duration
	// countedMost is how many rows may be counted while writes wait.
	countedMost int64
	longestLag  int64
	// longestBehind is for how long the old place may be behind before the window closes itself.
	longestBehind     time.Duration
	tolerance, outage time.Duration
	sweepEvery        time.Duration
	followEvery       time.Duration
	firstRows         int // of a table's first chunk, or page of a comparison; the others are sized by time
	// A move that is watched looks for changes again after watchLeast, and after longer and
	// longer while there are none, at last after watchMost.
	watchLeast, watchMost time.Duration
	// hook is called at every named point of a move. An error of errCrash's kind
	// drops the move on the spot, as a killed process would.
	hook func(ctx context.Context, point string) error

	slots  chan struct{} // one for each move that copies or compares
	backs  chan struct{} // one for each rollback that compares, which waits for no copy
	ends   chan struct{} // one for each window that ends, whose new place is read in whole
	woken  chan struct{}
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	running map[string]*grip // by move
}

// grip is what a runner has of a run.
type grip struct {
	nudged chan struct{} // its heart is to beat at once: something is asked of its move
	calm   atomic.Bool   // it watches or waits, and its heart does not beat by itself
	told   atomic.Bool   // it knows that it was told to cut over, and waits for its window
}

// news says whether a run is to be woken for what is asked of its move. The word to cut
// over stays in its row until it does, and for days if the window is missed.
func (g *grip) news(asked Intent) bool {
	return asked != NoIntent && (asked != WantCutover || !g.told.Load())
}

// RunnerOptions are what a runner is made of.
type RunnerOptions struct {
	DB        *control.DB
	Directory *backends.Directory
	Stores    *backends.Stores
	Router    *backends.Router
	Keys      *crypto.Keyring
	Gates     []Gate
	Log       *slog.Logger
	// TenantMigrations is how many the program has: moves that one with fewer began make
	// way. 0: none is told to.
	TenantMigrations int64
	// Lease is how long a move whose instance died waits for another one, except
	// while the storefront is sealed, when it is half a second; 0: 10 s.
	Lease time.Duration
	// AuditEvery is how long after a comparison of both places in the rollback window the
	// next one begins, at most; 0: an hour.
	AuditEvery time.Duration
	// SweepEvery is how often is tried to erase what moves left behind; 0: a minute.
	SweepEvery time.Duration
	// Clock is what the windows of cutovers go by; nil: this machine's.
	Clock func() time.Time
	// Hook is called at the crash points of the protocol, K1 to K18 but K9, which lies
	// inside a transaction, and at the beginning of every phase's step, by the phase's
	// name, when the target's indexes were given up ("deferred") and before a table's are
	// made again ("loaded"), when a cutover was given up and the old place is not open yet
	// ("aborted"), and half-way through erasing a place ("erasing"); nil: the failpoints that the process was built with.
	Hook func(ctx context.Context, point string) error
}

// NewRunner makes a runner; Start starts it. The router tells it of requests that
// wait too long for a cutover.
func NewRunner(o RunnerOptions) *Runner {
	r := &Runner{
		db: o.DB, directory: o.Directory, stores: o.Stores, router: o.Router, keys: o.Keys, gates: o.Gates, log: o.Log, hook: o.Hook, tenantMigrations: o.TenantMigrations, metrics: newMetrics(o.DB),
		instance: ids.New(), lease: o.Lease, clock: o.Clock, now: time.Now, auditEvery: o.AuditEvery, cutTries: cutTries, sealedMost: sealedMost, countedMost: countedUnderSeal, fastEnough: fastEnough, longestLag: longestLag, longestBehind: longestBehind, tolerance: tolerance, outage: longestOutage, firstRows: firstRows, sweepEvery: o.SweepEvery, followEvery: followEvery,
		watchLeast: watchLeast, watchMost: watchMost, slots: make(chan struct{}, AtOnce), backs: make(chan struct{}, AtOnce), ends: make(chan struct{}, AtOnce), woken: make(chan struct{}, 1), running: map[string]*grip{},
	}
	r.host, _ = os.Hostname() // whoever does not know runs what is on no certain host
	if r.lease == 0 {
		r.lease = leaseNormal
	}
	if r.auditEvery == 0 {
		r.auditEvery = auditEvery
	}
	if r.sweepEvery == 0 {
		r.sweepEvery = sweepEvery
	}
	if r.clock == nil {
		r.clock = time.Now
	}
	if r.hook == nil {
		r.hook = func(_ context.Context, point string) error {
			failpoint.Reach(point)
			return nil
		}
	}
	o.Router.OnStall(func(context.Context, backends.StorefrontID) { r.Wake() })
	return r
}

// Wake makes the runner look for work at once.
func (r *Runner) Wake() { signal(r.woken) }

// Start begins to look for moves to run.
func (r *Runner) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan struct{})
	go r.loop(ctx)
}

// Stop ends every run at its next step and hands the leases back, so that
// another instance goes on at once. It returns when nothing runs any more.
func (r *Runner) Stop() {
	r.cancel()
	<-r.done
}

func (r *Runner) loop(ctx context.Context) {
	defer close(r.done)
	var runs sync.WaitGroup
	defer runs.Wait()
	runs.Go(func() { r.sweep(ctx) })
	renewed, still := time.Now(), false
	for {
		asked, err := readAsked(ctx, r.db, r.instance)
		if err == nil {
			err = r.makeWay(ctx)
		}
		var found []claimable
		rest := lookEvery
		if err == nil {
			found, err = r.free(ctx)
		}
		if err == nil {
			rest, err = readShortestLease(ctx, r.db, lookEvery)
		}
		if err == nil && time.Since(renewed) >= r.lease/renewals {
			renewed = time.Now()
			err = r.renew(ctx)
		}
		switch {
		case err == nil && still:
			still = false
			r.log.InfoContext(ctx, "moves go on: the control database answers")
		case err != nil && !still && ctx.Err() == nil:
			still = true
			r.log.WarnContext(ctx, "moves stand still: the control database does not answer", "error", err)
		}
		for _, m := range found {
			r.begin(ctx, m, &runs)
		}
		r.tell(asked)
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		case <-r.woken:
		}
	}
}

// free finds moves that nobody runs and that this instance can, those first that matter
// most. Any number of others, whose files are elsewhere, may stand before them.
func (r *Runner) free(ctx context.Context) (found []claimable, err error) {
	for behind := 0; len(found) < lookAtMost; behind += lookAtMost {
		some, err := readFree(ctx, r.db, r.tenantMigrations, behind, lookAtMost)
		if err != nil {
			return nil, err
		}
		mine, err := reached(ctx, r.db, r.directory, r.host, some)
		if err != nil {
			return nil, err
		}
		if found = append(found, mine...); len(some) < lookAtMost {
			break
		}
	}
	return found, nil
}

// tell lets runs learn now what is asked of their moves.
func (r *Runner) tell(moves []asked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range moves {
		if g := r.running[m.ID]; g != nil && g.news(m.Intent) {
			signal(g.nudged)
		}
	}
}

// renew keeps the moves that watch, or wait before their cutover, of which there may be
// many, by one statement for all. A run whose lease was lost meanwhile is told to look for itself.
func (r *Runner) renew(ctx context.Context) error {
	r.mu.Lock()
	var calm []string
	for id, g := range r.running {
		if g.calm.Load() {
			calm = append(calm, id)
		}
	}
	r.mu.Unlock()
	slices.Sort(calm)
	for some := range slices.Chunk(calm, renewedAtOnce) {
		var renewed []string
		err := r.db.Update(ctx, func(_ context.Context, tx control.Tx) (err error) {
			renewed, err = renewResting(tx, r.instance, some, r.lease)
			return err
		})
		if err != nil {
			return err
		}
		r.lookAfter(slices.DeleteFunc(slices.Clone(some), func(id string) bool { return slices.Contains(renewed, id) }))
	}
	return nil
}

// lookAfter lets runs see whether they still have their leases.
func (r *Runner) lookAfter(moves []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range moves {
		if g := r.running[id]; g != nil {
			signal(g.nudged)
		}
	}
}

// begin runs a move beside others, unless it runs already, or is heavy and all slots
// are taken: then a later look finds it again. One that was told to stop needs none, nor does one
// that stands by, which has to stay in step whoever else copies.
func (r *Runner) begin(ctx context.Context, m claimable, runs *sync.WaitGroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[m.ID] != nil {
		return
	}
	leaveSlot := func() {}
	stops := m.Intent == WantCancel || m.Intent == WantPause || m.Intent == WantYield
	if m.Phase.heavy() && !stops && !m.Stands {
		var free bool
		if leaveSlot, free = r.takeSlot(r.slots); !free {
			return
		}
	}
	g := &grip{nudged: make(chan struct{}, 1)}
	r.running[m.ID] = g
	runs.Go(func() {
		defer func() {
			r.mu.Lock()
			delete(r.running, m.ID)
			r.mu.Unlock()
			leaveSlot()
			if ctx.Err() == nil {
				r.Wake()
			}
		}()
		r.run(ctx, m.ID, g, leaveSlot, stops)
	})
}

// takeSlot takes one of the slots for heavy work, if one is free. leave gives it back.
func (r *Runner) takeSlot(slots chan struct{}) (leave func(), free bool) {
	select {
	case slots <- struct{}{}:
	default:
		return func() {}, false
	}
	return sync.OnceFunc(func() {
		<-slots
		r.Wake() // somebody may wait for it
	}), true
}

// heavy phases, and one that goes on to them, are bounded in number. In the others a
// storefront may be waiting for the move, or the move waits itself, for days.
func (p Phase) heavy() bool {
	switch p {
	case Planned, Preparing, Copying, CatchingUp, Verifying, Paused:
		return true
	}
	return false
}

// claim takes a move whose lease has run out and raises its fencing number; nil
// when somebody else was faster.
func (r *Runner) claim(ctx context.Context, id string) (m *Move, err error) {
	err = r.db.Update(ctx, func(_ context.Context, tx control.Tx) error {
		got, err := readMove(tx, id, true)
		if err != nil {
			return err
		}
		if m = nil; got.EndedAt != nil || got.LeaseUntil >= tx.Now() || got.Phase == Paused && got.Intent == NoIntent || r.tooOldFor(got, tx.Now()) {
			return nil
		}
		m = got
		data := map[string]any{"gen": m.Gen + 1, "instance": r.instance}
		if m.Owner != "" { // who did not hand it back
			data["from"] = m.Owner
		}
		m.Gen++
		m.Owner = r.instance
		switch {
		case m.Cut == Committed, // the places are upgraded by who has it now
			m.Phase == Preparing || m.Phase == Paused && m.ResumePhase == Preparing: // and made equal
			m.TenantMigrations = max(m.TenantMigrations, r.tenantMigrations)
		}
		m.LeaseUntil = tx.Now() + r.leaseOf(m).Microseconds()
		if err := writeMove(tx, m); err != nil {
			return err
		}
		return addEvent(tx, id, "claimed", data)
	})
	return m, err
}

// newerFirst is for how long a move that a newer program must begin is left to one. Behind that
// there is none, and the move fails and says so.
const newerFirst = 2 * time.Minute

// tooOldFor says that a newer program watches the move, and may have upgraded its places, or that
// one is to begin it. Any other one is taken whatever its program: a storefront may be waiting to be
// opened.
func (r *Runner) tooOldFor(m *Move, now int64) bool {
	if r.tenantMigrations == 0 || m.TenantMigrations <= r.tenantMigrations {
		return false
	}
	begins := m.Phase == Preparing || m.Phase == Paused && m.ResumePhase == Preparing
	stops := m.Intent == WantCancel || m.Intent == WantPause || m.Intent == WantYield
	return m.Phase == Watching || begins && !stops && m.UpdatedAt > now-newerFirst.Microseconds()
}

// leaseOf is short from when a storefront may be sealed until it is known to be open again.
func (r *Runner) leaseOf(m *Move) time.Duration {
	if m.Cut != NotCut && (m.Phase == CuttingOver || m.Phase == RollingBack || m.Phase == Cancelling) {
		return leaseCutting
	}
	return r.lease
}
