package planning

import (
	"container/heap"
	"time"
)

// event is something that happens at a time.
type event struct {
	at     time.Time
	number int // the order in which events of one time were thought of
	happen func()
}

func (s *simulation) at(at time.Time, happen func()) {
	s.number++
	heap.Push(&s.events, event{at, s.number, happen})
}

// events is a heap.
type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].number < e[j].number
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
