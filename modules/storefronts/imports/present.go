package imports

import (
	"errors"
	"sync"
	"time"
)

// present are the imports of this process: those under way, and those whose end the
// control database cannot be told at the moment, such as for want of room on its disk.
// Whoever asks here learns how they are all the same.
type present struct {
	jobs   sync.Map // id -> *job
	saving sync.WaitGroup
}

// newest is an import as it is, whatever the control database says.
func (p *present) newest(read *Import) *Import {
	here, ok := p.jobs.Load(read.ID)
	if !ok {
		return read
	}
	now := here.(*job).seen()
	now.UpdatedAt = max(now.UpdatedAt, read.UpdatedAt)
	return &now
}

func (p *present) leave(j *job) { p.jobs.Delete(j.known.ID) }

// linger keeps a job that has ended until that is saved or the service stops.
func (p *present) linger(j *job) {
	p.saving.Go(func() {
		defer p.leave(j)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-j.s.running.Done():
				return
			case <-tick.C:
			}
			if err := j.save(j.s.running); err == nil || errors.Is(err, errLost) {
				return
			}
		}
	})
}
