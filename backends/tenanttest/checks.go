package tenanttest

import (
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"smartseller/backends"
	"smartseller/migrations"
)

// Checks are what the CHECKs of the tenant schema let columns hold. Rows that a test makes
// up keep to them, so that a table that is added later needs no word in any test.
type Checks struct {
	values map[string]func(int64) any // by "table.column"
	sizes  map[string]int
}

// Of makes a value of any number, for a column that takes certain values alone; it is nil
// for one that takes all of its type, up to its Size.
func (c Checks) Of(t *backends.Table, column string) func(int64) any {
	return c.values[t.Name+"."+column]
}

// Size is how many bytes a text may have; 0: as many as one likes.
func (c Checks) Size(t *backends.Table, column string) int { return c.sizes[t.Name+"."+column] }

// Fit is as much of the end of a text as a column takes.
func (c Checks) Fit(t *backends.Table, column, text string) string {
	if size := c.Size(t, column); size > 0 && len(text) > size {
		return strings.ToValidUTF8(text[len(text)-size:], "")
	}
	return text
}

var (
	ofTable   = regexp.MustCompile(`^(?:CREATE|ALTER) TABLE ([a-z_]+)`)
	check     = regexp.MustCompile(`\bCHECK \(((?:[^()]|\([^()]*\))*)\)`)
	sized     = regexp.MustCompile(`^(?:octet_)?length\(([a-z_]+)\) <= ([0-9]+)$`)
	condition = regexp.MustCompile(`^([a-z_]+) (.*)$`)
	between   = regexp.MustCompile(`^BETWEEN (-?[0-9]+) AND (-?[0-9]+)$`)
	least     = regexp.MustCompile(`^(>=?) (-?[0-9]+)$`)
	oneOf     = regexp.MustCompile(`^(?:IN \(|= )((?:'[^']*'|-?[0-9]+|, )+)\)?$`)
)

// ReadChecks reads them from the schema's text, of which the test fails to understand
// what it then names.
func ReadChecks(t testing.TB) Checks {
	t.Helper()
	files, err := migrations.Tenant(migrations.SQLite)
	require.NoError(t, err)
	names, err := fs.Glob(files, "*.sql")
	require.NoError(t, err)
	c := Checks{values: map[string]func(int64) any{}, sizes: map[string]int{}}
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		table := ""
		for line := range strings.Lines(string(content)) {
			if found := ofTable.FindStringSubmatch(line); found != nil {
				table = found[1]
			}
			for _, found := range check.FindAllStringSubmatch(line, -1) {
				require.True(t, c.read(table, found[1]), "%s: no test knows which rows of %s satisfy CHECK (%s): teach it to tenanttest.ReadChecks", name, table, found[1])
			}
		}
	}
	require.NotEmpty(t, c.values)
	require.NotEmpty(t, c.sizes)
	return c
}

func (c Checks) read(table, text string) (understood bool) {
	if found := sized.FindStringSubmatch(text); found != nil {
		c.sizes[table+"."+found[1]] = int(number(found[2]))
		return true
	}
	found := condition.FindStringSubmatch(text)
	if found == nil {
		return false
	}
	if found[1] == "storefront_id" {
		return true
	}
	value := within(found[2])
	c.values[table+"."+found[1]] = value
	return value != nil
}

// within makes, of any number, a value that satisfies a condition; nil when it is not understood.
func within(condition string) func(int64) any {
	if found := between.FindStringSubmatch(condition); found != nil {
		return ranging(number(found[1]), number(found[2]))
	}
	if found := least.FindStringSubmatch(condition); found != nil {
		return ranging(number(found[2])+int64(2-len(found[1])), math.MaxInt64)
	}
	found := oneOf.FindStringSubmatch(condition)
	if found == nil {
		return nil
	}
	var values []any
	for text := range strings.SplitSeq(found[1], ", ") {
		if text[0] == '\'' {
			values = append(values, strings.Trim(text, "'"))
		} else {
			values = append(values, number(text))
		}
	}
	return func(n int64) any { return values[uint64(n)%uint64(len(values))] }
}

// ranging takes both ends in; there are fewer numbers between them than an int64 has.
func ranging(from, to int64) func(int64) any {
	return func(n int64) any { return from + int64(uint64(n)%(uint64(to-from)+1)) }
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // of digits alone
	return n
}
