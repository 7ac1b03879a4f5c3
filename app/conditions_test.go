package app

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	word = regexp.MustCompile(`'(?:[^']|'')*'|[A-Za-z_$][A-Za-z0-9_$.]*|[0-9]+|[<>!]=|<>|\|\||\S`)
	// conditionEnds are the words that end a condition, beside a closing bracket.
	conditionEnds = map[string]bool{
		"WHERE": true, "JOIN": true, "LEFT": true, "INNER": true, "CROSS": true, "GROUP": true, "HAVING": true, "ORDER": true,
		"LIMIT": true, "OFFSET": true, "RETURNING": true, "UNION": true, "FOR": true, "ON": true, "DO": true,
	}
)

// withoutConditions makes every condition of a statement true for every row, and
// every limit too high to hide one: what would run if a module had forgotten them.
// All parameters stay, so that their types are known.
func withoutConditions(text string) string {
	words := word.FindAllString(text, -1)
	var out []string
	for i := 0; i < len(words); i++ {
		head := strings.ToUpper(words[i])
		out = append(out, words[i])
		switch {
		case head == "WHERE", head == "HAVING", head == "ON" && !strings.EqualFold(words[i+1], "CONFLICT"):
			end := conditionEnd(words, i+1)
			condition := withoutConditions(strings.Join(words[i+1:end], " "))
			out = append(out, "(("+condition+") OR TRUE)")
			i = end - 1
		case head == "LIMIT":
			out = append(out, "("+words[i+1]+" + 1000)")
			i++
		}
	}
	return strings.Join(out, " ")
}

func conditionEnd(words []string, from int) int {
	depth := 0
	for i := from; i < len(words); i++ {
		switch words[i] {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth < 0 || depth == 0 && conditionEnds[strings.ToUpper(words[i])] {
			return i
		}
	}
	return len(words)
}

func TestConditionsAreMadeUseless(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`SELECT a FROM t WHERE b = ' WHERE ' AND c IN ( $2 ) ORDER BY a LIMIT $3`: `SELECT a FROM t WHERE ((b = ' WHERE ' AND c IN ( $2 )) OR TRUE) ORDER BY a LIMIT ($3 + 1000)`,
		`SELECT a FROM t JOIN u ON u.x = t.x WHERE ( t.b = $1 )`:                  `SELECT a FROM t JOIN u ON ((u.x = t.x) OR TRUE) WHERE ((( t.b = $1 )) OR TRUE)`,
		`SELECT a FROM t WHERE b >= 10 AND c <> 'x' || 'y' LIMIT 100`:             `SELECT a FROM t WHERE ((b >= 10 AND c <> 'x' || 'y') OR TRUE) LIMIT (100 + 1000)`,
		`SELECT ( SELECT a FROM t WHERE b = $1 ) FROM u WHERE c = $1`:             `SELECT ( SELECT a FROM t WHERE ((b = $1) OR TRUE) ) FROM u WHERE ((c = $1) OR TRUE)`,
		`DELETE FROM t WHERE id = ( SELECT id FROM t WHERE b = 1 ) RETURNING a`:   `DELETE FROM t WHERE ((id = ( SELECT id FROM t WHERE ((b = 1) OR TRUE) )) OR TRUE) RETURNING a`,
		`INSERT INTO t VALUES ( $1 ) ON CONFLICT ( a ) DO UPDATE SET b = $1`:      `INSERT INTO t VALUES ( $1 ) ON CONFLICT ( a ) DO UPDATE SET b = $1`,
	} {
		require.Equal(t, want, withoutConditions(text))
	}
}
