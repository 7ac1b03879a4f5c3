package history

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Journal knows, for things that are added once and removed at most once, which must
// be there, which must not, and which may. The zero value is empty and ready. Safe for
// concurrent use.
type Journal struct {
	mu     sync.Mutex
	things map[string]presence
}

type presence uint8

const (
	never    presence = iota // nobody added it, or whoever tried was refused
	possible                 // an answer is missing
	there
	gone // removed, for good
)

// Adding notes that somebody is about to add a thing: from now on it may be there.
func (j *Journal) Adding(id string) { j.set(id, possible) }

// Added notes that adding it was acknowledged.
func (j *Journal) Added(id string) { j.set(id, there) }

// Refused notes that adding it certainly did not happen.
func (j *Journal) Refused(id string) { j.set(id, never) }

// Removing notes that somebody is about to remove a thing that was there.
func (j *Journal) Removing(id string) { j.set(id, possible) }

// Removed notes that removing it was acknowledged.
func (j *Journal) Removed(id string) { j.set(id, gone) }

func (j *Journal) set(id string, p presence) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.things == nil {
		j.things = map[string]presence{}
	}
	j.things[id] = p
}

// Check compares with what is there, when nobody changes anything any more. The
// error names acknowledged things that are missing, removed ones that came back, and
// those that nobody added.
func (j *Journal) Check(found []string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var errs []error
	here := make(map[string]bool, len(found))
	for _, id := range found {
		if here[id] {
			errs = append(errs, fmt.Errorf("%s is there twice", id))
		}
		here[id] = true
		switch j.things[id] {
		case never:
			errs = append(errs, fmt.Errorf("%s is there, and nobody added it", id))
		case gone:
			errs = append(errs, fmt.Errorf("%s was removed, which was acknowledged, and is back", id))
		}
	}
	var missing []string
	for id, p := range j.things {
		if p == there && !here[id] {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	for _, id := range missing {
		errs = append(errs, fmt.Errorf("%s was acknowledged and is missing", id))
	}
	return errors.Join(errs...)
}

// Certain is the number of things of which it is known that they must be there.
func (j *Journal) Certain() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.things {
		if p == there {
			n++
		}
	}
	return n
}
