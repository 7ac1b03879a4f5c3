package sqlite

import (
	"sync"

	"smartseller/backends"
)

// texts translates each portable text once. The store's texts are few.
type texts struct {
	portable   sync.Map // string -> string
	statements sync.Map // *backends.Statement -> string
}

func (t *texts) of(portable string) string {
	if text, ok := t.portable.Load(portable); ok {
		return text.(string)
	}
	text := backends.Question(portable)
	t.portable.Store(portable, text)
	return text
}

func (t *texts) ofStatement(s *backends.Statement) string {
	if text, ok := t.statements.Load(s); ok {
		return text.(string)
	}
	text := s.SQLite()
	t.statements.Store(s, text)
	return text
}
