package backends

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A statement that is declared once runs for one row or for many, for one value
// or for a list. The texts that this takes are few and made once: rows come in
// powers of two, lists in the sizes of listSizes.

var (
	listSizes  = [...]int{1, 8, 64, MaxList}
	oneRow     = regexp.MustCompile(`(?i)^(INSERT INTO [a-z0-9_]+ \([a-z0-9_, ]+\) VALUES )(\(\$1(?:, (?:\$[0-9]+|[0-9]+|NULL|'[^']*'))+\))(.*)$`)
	parameters = regexp.MustCompile(`\$([0-9]+)`)
)

// ForRows is the statement for n rows at once, and how many arguments each takes.
// Only an INSERT of one row of plain values can be run so.
func (s *Statement) ForRows(n int) (wide *Statement, width int, err error) {
	parts := oneRow.FindStringSubmatch(s.text)
	if s.Kind != WriteStatement || s.Returning || parts == nil || s.parameters(parts[3]) > 1 {
		return nil, 0, fmt.Errorf("%s: only an INSERT of one row of plain values, without RETURNING, runs for many", s.Site)
	}
	width = s.parameters(parts[2]) - 1
	return s.widened(n, func() string {
		rows := make([]string, n)
		for i := range rows {
			rows[i] = shift(parts[2], i*width)
		}
		return parts[1] + strings.Join(rows, ", ") + parts[3]
	}), width, nil
}

// shift raises the number of every parameter but the storefront's.
func shift(text string, by int) string {
	return parameters.ReplaceAllStringFunc(text, func(p string) string {
		if n, _ := strconv.Atoi(p[1:]); n > 1 {
			return "$" + strconv.Itoa(n+by)
		}
		return p
	})
}

func (s *Statement) parameters(text string) (greatest int) {
	for _, found := range parameters.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(found[1])
		greatest = max(greatest, n)
	}
	return greatest
}

// ForLists is the statement with room for the lists among its arguments, and the
// arguments to run it with: a list's first value stays where it was, the others
// come behind all, the last one repeated until the list has one of a few sizes.
func (s *Statement) ForLists(args []any) (*Statement, []any, error) {
	if !slices.ContainsFunc(args, func(arg any) bool { _, is := arg.(List); return is }) {
		return s, args, nil
	}
	var sizes strings.Builder
	text, next := s.text, s.parameters(s.text)
	flat, more := make([]any, len(args)), []any(nil)
	for i, arg := range args {
		list, ok := arg.(List)
		if flat[i] = arg; !ok {
			continue
		}
		mark := "($" + strconv.Itoa(i+2)
		if len(list) > MaxList || !strings.Contains(s.text, "IN "+mark+")") {
			return nil, nil, fmt.Errorf("%s: argument $%d: a list of at most %d values stands in IN %s)", s.Site, i+2, MaxList, mark)
		}
		if flat[i] = any(nil); len(list) > 0 {
			flat[i] = list[0]
		}
		size := ListSize(len(list))
		wide := mark
		for n := 1; n < size; n++ {
			next++
			wide += ", $" + strconv.Itoa(next)
			more = append(more, flat[i])
			if len(list) > 0 {
				more[len(more)-1] = list[min(n, len(list)-1)]
			}
		}
		text = strings.ReplaceAll(text, "IN "+mark+")", "IN "+wide+")")
		fmt.Fprintf(&sizes, "$%d:%d", i+2, size)
	}
	return s.widened(sizes.String(), func() string { return text }), append(flat, more...), nil
}

// ListSize is how many values a statement has room for that is run with a list of n.
func ListSize(n int) int {
	for _, size := range listSizes {
		if n <= size {
			return size
		}
	}
	return MaxList
}

func (s *Statement) widened(key any, text func() string) *Statement {
	if known, ok := s.wide.Load(key); ok {
		return known.(*Statement)
	}
	made, _ := s.wide.LoadOrStore(key, (&Statement{Kind: s.Kind, Table: s.Table, Returning: s.Returning, Site: s.Site}).saying(text()))
	return made.(*Statement)
}
