package sqlite

import (
	"sync"

	"smartseller/backends"
)

// texts translates each of the mover's texts once: they are few.
type texts struct{ known sync.Map } // string -> string

func (t *texts) of(portable string) string {
	if text, ok := t.known.Load(portable); ok {
		return text.(string)
	}
	text := backends.Question(portable)
	t.known.Store(portable, text)
	return text
}
