package load

import "math/rand/v2"

// lookedAt is what Verify has looked at before.
type lookedAt map[string]bool

// some are those of these things that were not looked at yet, and a few of the others by lot: a long
// load that is verified again and again has thousands.
func (l lookedAt) some(things []string) (out []string) {
	const again = 3
	var old []string
	for _, thing := range things {
		if l[thing] {
			old = append(old, thing)
		} else {
			out = append(out, thing)
		}
		l[thing] = true
	}
	for _, n := range rand.Perm(len(old))[:min(again, len(old))] {
		out = append(out, old[n])
	}
	return out
}
