package load

import (
	"context"
	"math/rand/v2"
)

// lookedAt is what Verify has looked at before.
type lookedAt map[string]bool

// some looks at those of these things that were not looked at yet, and at a few of the others by lot: a
// long load that is verified again and again has thousands. What could not be looked at comes again.
func (l lookedAt) some(ctx context.Context, things []string, look func(ctx context.Context, thing string) error) error {
	const again = 3
	var old, now []string
	for _, thing := range things {
		if l[thing] {
			old = append(old, thing)
		} else {
			now = append(now, thing)
		}
	}
	for _, n := range rand.Perm(len(old))[:min(again, len(old))] {
		now = append(now, old[n])
	}
	for _, thing := range now {
		if err := look(ctx, thing); err != nil {
			return err
		}
		l[thing] = true
	}
	return nil
}
