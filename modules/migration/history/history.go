// Package history remembers what clients asked of a storefront's rows and what they
// were answered, while the storefront moves, and decides afterwards whether a single
// copy that nobody ever moved could have given these answers: each row's history must
// be linearizable, and what was acknowledged must be there.
package history

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Absent is what a row holds that does not exist.
const Absent = ""

// History is all that was asked of some rows. The zero value is empty and ready.
// Safe for concurrent use.
type History struct {
	mu         sync.Mutex
	began      time.Time
	operations []*Operation
}

// Operation is one request on one row, atomic: what it saw of the row and what it
// made of it. It is used by one goroutine.
type Operation struct {
	history      *History
	client       int
	key          string
	saw, wrote   *string // nil: it did not look, it changed nothing
	call, answer time.Duration
	outcome      outcome
}

type outcome uint8

const (
	open    outcome = iota // asked and not answered: it may happen, now or later, or not at all
	done                   // answered
	refused                // it certainly did not happen
)

// Begin notes that a client is about to ask. Clients are numbered from 0; each asks
// one thing after the other.
func (h *History) Begin(client int, key string) *Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.began.IsZero() {
		h.began = time.Now()
	}
	o := &Operation{history: h, client: client, key: key, call: time.Since(h.began)}
	h.operations = append(h.operations, o)
	return o
}

// Saw notes what the row held; a transaction that runs again sees anew.
func (o *Operation) Saw(value string) { o.saw = &value }

// Wrote notes what the row holds afterwards, if the request happens.
func (o *Operation) Wrote(value string) { o.wrote = &value }

// Done notes the answer: it has happened.
func (o *Operation) Done() { o.end(done) }

// Refused notes that it certainly did not happen, and never will.
func (o *Operation) Refused() { o.end(refused) }

// Unknown notes that no answer came that says whether it happened: it may have
// happened already, may happen later, or never.
func (o *Operation) Unknown() { o.end(open) }

func (o *Operation) end(how outcome) {
	o.history.mu.Lock()
	defer o.history.mu.Unlock()
	o.answer, o.outcome = time.Since(o.history.began), how
}

// String describes the operation, for whoever must find out what went wrong.
func (o *Operation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client %d, %s", o.client, o.call.Round(time.Microsecond))
	if o.outcome == done {
		fmt.Fprintf(&b, " to %s", o.answer.Round(time.Microsecond))
	} else {
		b.WriteString(", outcome unknown")
	}
	if o.saw != nil {
		fmt.Fprintf(&b, ": saw %s", named(*o.saw))
	}
	if o.wrote != nil {
		fmt.Fprintf(&b, ": wrote %s", named(*o.wrote))
	}
	return b.String()
}

func named(value string) string {
	if value == Absent {
		return "no row"
	}
	return value
}

// Size is the number of operations so far, and of those the acknowledged ones.
func (h *History) Size() (asked, acknowledged int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.operations {
		if o.outcome == done {
			acknowledged++
		}
	}
	return len(h.operations), acknowledged
}
