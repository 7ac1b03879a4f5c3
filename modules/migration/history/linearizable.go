package history

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience bounds the search for one row's order. It is far more than any honest
// history takes; one that is not decided in time counts as broken.
const patience = time.Minute

// Check says whether every row's history is linearizable: whether there is an order
// of its operations, each at one instant between question and answer, in which each
// saw what the ones before it had made of the row. The error names the rows for which
// there is none, and the operations that do not fit. No client may be asking any more.
func (h *History) Check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	rows := map[string][]*Operation{}
	var keys []string
	for _, o := range h.operations {
		if o.outcome == refused || o.outcome == open && o.wrote == nil {
			continue // it neither learned nor changed anything
		}
		if rows[o.key] == nil {
			keys = append(keys, o.key)
		}
		rows[o.key] = append(rows[o.key], o)
	}
	slices.Sort(keys)
	var errs []error
	for _, key := range keys {
		if err := check(key, rows[key]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// row is a register. An operation without an answer that could happen at this point
// leaves both possibilities open.
var row = porcupine.NondeterministicModel{
	Init: func() []any { return []any{Absent} },
	Step: func(state, input, _ any) []any {
		o := input.(*Operation)
		fits := o.saw == nil || *o.saw == state
		switch {
		case o.outcome == open && fits && *o.wrote != state:
			return []any{state, *o.wrote}
		case o.outcome == open:
			return []any{state}
		case !fits:
			return nil
		case o.wrote == nil:
			return []any{state}
		}
		return []any{*o.wrote}
	},
}

func check(key string, operations []*Operation) error {
	asked := make([]porcupine.Operation, len(operations))
	for i, o := range operations {
		answer := int64(math.MaxInt64)
		if o.outcome == done {
			answer = int64(o.answer)
		}
		asked[i] = porcupine.Operation{ClientId: o.client, Input: o, Call: int64(o.call), Return: answer}
	}
	verdict, info := porcupine.CheckOperationsVerbose(row.ToModel(), asked, patience)
	switch verdict {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("%s: not decided within %s whether %d operations are linearizable", key, patience, len(asked))
	}
	return fmt.Errorf("%s: no order of its %d operations explains what was seen; %s", key, len(asked), misfits(operations, info))
}

// shown bounds the operations that a report names.
const shown = 6

// misfits names what the longest order that could be found leaves out, and what
// came last in that order.
func misfits(operations []*Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	placed := map[*Operation]bool{}
	var last []*Operation
	for _, o := range longest {
		placed[o.Input.(*Operation)] = true
		last = append(last, o.Input.(*Operation))
	}
	var left []*Operation
	for _, o := range operations {
		if !placed[o] && o.outcome == done {
			left = append(left, o)
		}
	}
	slices.SortFunc(left, func(a, b *Operation) int { return int(a.answer - b.answer) })
	return fmt.Sprintf("an order was found up to [%s], after which [%s] do not fit",
		list(last[max(0, len(last)-shown):]), list(left[:min(shown, len(left))]))
}

func list(operations []*Operation) string {
	texts := make([]string, len(operations))
	for i, o := range operations {
		texts[i] = o.String()
	}
	return strings.Join(texts, "; ")
}
