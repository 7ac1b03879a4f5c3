package imports

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"smartseller/modules/storefronts"
	"smartseller/modules/storefronts/shopify"
	"smartseller/platform/control"
	"smartseller/platform/fault"
)

const (
	beatEvery = time.Second     // how often what is known of a run is kept
	endWithin = 5 * time.Second // that its end is kept
)

// job is an import under way in this process.
type job struct {
	s      *Service
	shop   storefronts.Storefront
	spools []*spool
	ctx    context.Context // of the run; ends with errStopped or errLost
	cancel context.CancelCauseFunc

	// Of the goroutine that reads and writes:
	number  int64 // the greatest of all orders
	omitted int64 // that are listed so far

	saving sync.Mutex // so that what is kept is never older than what was
	mu     sync.Mutex
	known  Import // its files in the order of the spools
}

func newJob(s *Service, shop storefronts.Storefront, known Import) *job {
	j := &job{s: s, shop: shop, known: known}
	j.ctx, j.cancel = context.WithCancelCause(s.running)
	return j
}

// seen is what is known now.
func (j *job) seen() Import {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.known.copy()
}

// note changes what is known.
func (j *job) note(change func(i *Import)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.known)
}

// beat keeps what is known, again and again, and with it the claim that the import
// is under way; it ends the run when that is not believed any more.
func (j *job) beat() {
	go func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-j.ctx.Done():
				return
			case <-tick.C:
			}
			err := j.save(j.ctx)
			if errors.Is(err, errLost) {
				j.cancel(errLost)
			} else if err != nil && j.ctx.Err() == nil {
				j.s.log.WarnContext(j.ctx, "an import's progress cannot be kept", "import", j.known.ID, "error", err)
			}
		}
	}()
}

func (j *job) save(ctx context.Context) error {
	j.saving.Lock()
	defer j.saving.Unlock()
	i := j.seen()
	return j.put(ctx, &i)
}

func (j *job) put(ctx context.Context, i *Import) error {
	return j.s.db.Update(ctx, func(_ context.Context, tx control.Tx) error { return saveImport(tx, i) })
}

// announce says which files there are.
func (j *job) announce() error {
	j.note(func(i *Import) {
		i.State = Checking
		for _, s := range j.spools {
			i.Files = append(i.Files, File{Kind: s.kind, Name: s.name, Bytes: s.size})
		}
	})
	return j.save(j.ctx)
}

// run checks every file and then writes.
func (j *job) run() {
	j.end(j.guard(func() error {
		if err := j.check(); err != nil {
			return err
		}
		j.note(func(i *Import) { i.State = Writing })
		return j.write()
	}))
}

// guard makes an error of a panic: a file must not end the server, nor leave an
// import without an end.
func (j *job) guard(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return do()
}

// end keeps how the run ended and gives back what it held. Whoever asks learns of the end
// when it is kept, so that another import can begin then.
func (j *job) end(err error) {
	defer j.release()
	cause := context.Cause(j.ctx)
	j.cancel(nil) // the beats end, whatever the reason; what one still keeps does not change an end
	if errors.Is(cause, errLost) {
		j.s.here.leave(j)
		return
	}
	ended := j.seen()
	ended.end(err, cause)
	if err != nil {
		j.s.log.Log(j.ctx, fault.Of(err).Kind.Meaning().Level, "an import ended early", "import", ended.ID, "storefront", ended.Storefront, "state", ended.State, "error", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), endWithin)
	defer cancel()
	kept := j.put(ctx, &ended)
	if kept != nil { // the time is the control database's otherwise
		now := time.Now().UnixMicro()
		ended.UpdatedAt, ended.EndedAt = now, &now
	}
	j.note(func(i *Import) { *i = ended })
	if kept != nil && !errors.Is(kept, errLost) {
		j.s.log.WarnContext(ctx, "an import's end cannot be kept yet", "import", ended.ID, "error", kept)
		j.s.here.linger(j)
		return
	}
	j.s.here.leave(j)
}

// end says how a run ended, by its error and what ended its context.
func (i *Import) end(err, cause error) {
	writing := i.State == Writing
	switch {
	case err == nil:
		i.State = Completed
	case errors.Is(cause, errStopped):
		i.State, i.Failure = Interrupted, failure(errStopped)
	default:
		i.State, i.Failure = Failed, failure(err)
		if writing {
			i.Failure.Detail += " What was imported until then stays; import the same files again when that is mended."
		}
	}
}

func (j *job) release() {
	j.cancel(nil)
	for _, s := range j.spools {
		if err := s.Close(); err != nil {
			j.s.log.WarnContext(j.ctx, "a spool does not close", "import", j.known.ID, "error", err)
		}
	}
	<-j.s.slots
}

// failure says for people and programs why a run failed.
func failure(err error) *Failure {
	var broken *shopify.Error
	if errors.As(err, &broken) {
		return &Failure{
			Status: fault.Invalid.Meaning().Status, Code: "malformed_file", Detail: "Nothing was imported. " + broken.Error(),
			File: broken.File, Line: broken.Line, Column: broken.Column,
		}
	}
	f := fault.Of(err)
	if f.Kind == fault.Internal {
		f = errInternal
	}
	told := &Failure{Status: f.Kind.Meaning().Status, Code: f.Code, Detail: f.Detail}
	for _, field := range f.Fields {
		told.Detail += " " + field.String() + "."
	}
	return told
}
