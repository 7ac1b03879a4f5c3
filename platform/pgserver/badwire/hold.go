package badwire

import (
	"bytes"
	"crypto/rand"
	"sync"
	"sync/atomic"

	"github.com/Shopify/toxiproxy/v2/toxics"
)

// Hold is a statement that is kept on the wire.
type Hold struct {
	text    []byte
	taken   atomic.Bool
	reached chan struct{}
	release func()
	gone    chan struct{} // closed by release
}

// Reached is closed when the statement is on the wire.
func (h *Hold) Reached() <-chan struct{} { return h.reached }

// Release lets it go on.
func (h *Hold) Release() { h.release() }

// HoldAt keeps the first message to the server that contains the text, and all that
// follows on its connection, until it is released or the test ends.
func (w *Wire) HoldAt(text string) *Hold {
	h := &Hold{text: []byte(text), reached: make(chan struct{}), gone: make(chan struct{})}
	h.release = sync.OnceFunc(func() { close(h.gone) })
	w.t.Cleanup(h.release)
	id := rand.Text()
	holds.Store(id, h)
	w.add("hold", "upstream", holdToxic{ID: id})
	return h
}

// holds are found by id, since toxics are made from JSON.
var holds sync.Map

type holdToxic struct {
	ID string `json:"id"`
}

func init() { toxics.Register("hold", new(holdToxic)) }

// Pipe implements toxics.Toxic.
func (t *holdToxic) Pipe(stub *toxics.ToxicStub) {
	found, _ := holds.Load(t.ID)
	h := found.(*Hold)
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			if bytes.Contains(c.Data, h.text) && h.taken.CompareAndSwap(false, true) {
				close(h.reached)
				<-h.gone
			}
			stub.Output <- c
		}
	}
}
