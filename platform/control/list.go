package control

import (
	"fmt"
	"strings"
)

// List makes the placeholders of a list of values behind other arguments of a statement, and
// all arguments. The list must not be empty: no engine takes IN ().
func List[T ~string](args []any, values []T) (marks string, all []any) {
	var m []string
	for _, v := range values {
		args = append(args, string(v))
		m = append(m, fmt.Sprintf("$%d", len(args)))
	}
	return strings.Join(m, ", "), args
}
