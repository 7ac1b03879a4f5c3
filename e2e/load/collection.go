package load

import "fmt"

// collection is what the journal knows of a customer's things of one kind, each
// with an id that the server gave it.
type collection struct {
	things map[string]*fact // those that were deleted too: they must stay away
	maybe  []string         // values of which nobody knows whether they were added
}

// added notes a thing whose creation was acknowledged.
func (c *collection) added(id, value string) {
	if c.things == nil {
		c.things = map[string]*fact{}
	}
	c.things[id] = &fact{known: value}
}

// ids lists what exists, as far as is known.
func (c *collection) ids() (out []string) {
	for id, f := range c.things {
		if f.known != "" {
			out = append(out, id)
		}
	}
	return out
}

// observe compares all that is there, value by id, with what may be, and says what
// is wrong. From then on it is certain.
func (c *collection) observe(read map[string]string) (wrong []string) {
	for id, f := range c.things {
		known, maybe := f.known, f.maybe
		if !f.observe(read[id]) {
			wrong = append(wrong, fmt.Sprintf("%s is %q, acknowledged was %q (possible too: %q)", id, read[id], known, maybe))
		}
	}
	for id, value := range read {
		if c.things[id] != nil {
			continue
		}
		if !c.wasTried(value) {
			wrong = append(wrong, fmt.Sprintf("%s is %q, which nobody wrote", id, value))
		}
		c.added(id, value)
	}
	c.maybe = nil
	return wrong
}

// wasTried uses up a value that may have been added.
func (c *collection) wasTried(value string) bool {
	for i, v := range c.maybe {
		if v == value {
			c.maybe = append(c.maybe[:i], c.maybe[i+1:]...)
			return true
		}
	}
	return false
}
