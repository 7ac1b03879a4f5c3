package backends

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
)

// sqlText is unexported so that only constants compile: no SQL is built at run time.
type sqlText string

// StatementKind says what a statement does.
type StatementKind uint8

// The kinds of statements.
const (
	ReadStatement StatementKind = iota + 1
	LockStatement
	WriteStatement
)

// Statement is one SQL statement of a module: a package-level value made by
// Read, Lock or Write. Immutable; its address is its identity.
type Statement struct {
	Kind  StatementKind
	Table *Table // the table a Write writes; nil otherwise
	// Returning says that the module's own text has a RETURNING list.
	Returning bool
	// Site is the file and line that declares it, for error messages and metrics.
	Site string

	text     string
	postgres string
	sqlite   string
	adds     int64    // to its table's rows, by each row it writes; an upsert: unknown, so 0
	wide     sync.Map // by rows or sizes of lists: the *Statement for so many
}

// KeyColumn is the name of the column that every Write returns last: the id of
// the row it wrote, which capture records.
const KeyColumn = "captured_key"

// Read declares a query. Every tenant table it names must be bound:
// `storefront_id = $1`, or `a.storefront_id = $1` for each alias.
func Read(text sqlText) *Statement { return declare(ReadStatement, nil, string(text)) }

// Lock declares a query whose rows stay locked until the transaction ends, for
// read-modify-write: FOR UPDATE on Postgres, nothing on SQLite, which has one
// writer. It is allowed in Update only.
func Lock(text sqlText) *Statement { return declare(LockStatement, nil, string(text)) }

// Write declares an INSERT (also ON CONFLICT (...) DO ...), UPDATE or DELETE on
// one table, with or without a RETURNING list of its own. It must not change id
// or storefront_id.
func Write(table *Table, text sqlText) *Statement {
	return declare(WriteStatement, table, string(text))
}

var (
	declaredMu sync.Mutex
	declared   []*Statement
)

// Statements lists every statement declared by the packages linked into this
// program, for the tests that prepare and attack each of them.
func Statements() []*Statement {
	declaredMu.Lock()
	defer declaredMu.Unlock()
	return append([]*Statement(nil), declared...)
}

// declare panics on a statement that breaks the contract: declarations run at
// program start, so a wrong one never ships.
func declare(kind StatementKind, table *Table, text string) *Statement {
	text = strings.Join(strings.Fields(text), " ")
	site := "unknown"
	if _, file, line, ok := runtime.Caller(2); ok {
		if i := strings.LastIndex(file, "/modules/"); i >= 0 {
			file = file[i+1:]
		}
		site = fmt.Sprintf("%s:%d", file, line)
	}
	s := (&Statement{Kind: kind, Table: table, Returning: returning.MatchString(text), Site: site}).saying(text)
	if err := s.check(); err != nil {
		panic(fmt.Sprintf("backends: statement at %s: %v", site, err))
	}
	s.adds = addsRows(text)
	declaredMu.Lock()
	declared = append(declared, s)
	declaredMu.Unlock()
	return s
}

var (
	namesTable = regexp.MustCompile(`(?i)\b(?:FROM|JOIN|INTO|USING)\s+[a-z_]+|^UPDATE\s+[a-z_]+`)
	tableList  = regexp.MustCompile(`(?i)\b(?:FROM|USING)\s+[a-z_]+(?:\s+(?:AS\s+)?[a-z_]+)?\s*,`)
	bindsOne   = regexp.MustCompile(`(?i)\bstorefront_id = \$1\b`)
	insertHead = regexp.MustCompile(`(?i)^INSERT INTO ([a-z_]+) \(storefront_id, .*?\) VALUES \(\$1, `)
	writeHead  = regexp.MustCompile(`(?i)^(?:INSERT INTO|UPDATE|DELETE FROM) ([a-z_]+) `)
	setsKey    = regexp.MustCompile(`(?i)\bSET\s+(?:[^;]*,\s*)?(?:id|storefront_id)\s*=|\bSET\s*\(`)
	allColumns = regexp.MustCompile(`(?i)\bSELECT \*|, \*|\.\*|\bRETURNING \*`)
	returning  = regexp.MustCompile(`(?i)\bRETURNING\b`)
	whereWord  = regexp.MustCompile(`(?i)\bWHERE\b|\bRETURNING\b`)
)

func addsRows(text string) int64 {
	switch verb := strings.ToUpper(text); {
	case strings.HasPrefix(verb, "INSERT ") && !strings.Contains(verb, " DO UPDATE"):
		return 1
	case strings.HasPrefix(verb, "DELETE "):
		return -1
	}
	return 0
}

// check holds a statement to the contract: every table it names is bound to $1,
// a Write writes the table it declares and leaves the key alone.
func (s *Statement) check() error {
	bound := len(bindsOne.FindAllString(s.text, -1))
	if insertHead.MatchString(s.text) {
		bound++
	}
	if named := len(namesTable.FindAllString(s.text, -1)); named == 0 || bound < named {
		return fmt.Errorf("names %d tables but binds storefront_id to $1 only %d times", named, bound)
	}
	if strings.Contains(s.text, ";") || allColumns.MatchString(s.text) {
		return fmt.Errorf("must be one statement and name its columns: no ; and no SELECT *")
	}
	if tableList.MatchString(s.text) {
		return fmt.Errorf("lists tables with commas: say JOIN, so that each is seen to be bound")
	}
	head := writeHead.FindStringSubmatch(s.text)
	if s.Kind != WriteStatement {
		if head != nil {
			return fmt.Errorf("writes: declare it with Write")
		}
		return nil
	}
	if s.Table == nil || head == nil || head[1] != s.Table.Name {
		return fmt.Errorf("must be INSERT INTO, UPDATE or DELETE FROM the table it declares")
	}
	if strings.HasPrefix(strings.ToUpper(s.text), "INSERT") && !insertHead.MatchString(s.text) {
		return fmt.Errorf("must be INSERT INTO table (storefront_id, ...) VALUES ($1, ...): a distributed Postgres refuses INSERT ... SELECT")
	}
	if i := strings.Index(strings.ToUpper(s.text), " SET "); i >= 0 {
		set := s.text[i:]
		if w := whereWord.FindStringIndex(set); w != nil {
			set = set[:w[0]]
		}
		if setsKey.MatchString(set) {
			return fmt.Errorf("must not change id or storefront_id")
		}
	}
	return nil
}

// saying gives a statement its texts.
func (s *Statement) saying(text string) *Statement {
	s.text, s.postgres = text, text
	switch {
	case s.Kind == LockStatement:
		s.postgres += " FOR UPDATE"
	case s.Kind == WriteStatement && s.Returning:
		s.postgres += ", id AS " + KeyColumn
	case s.Kind == WriteStatement:
		s.postgres += " RETURNING id AS " + KeyColumn
	}
	s.sqlite = Question(s.postgres)
	if s.Kind == LockStatement {
		s.sqlite = Question(text)
	}
	return s
}

// Text is the statement in the portable form, as declared, with white space folded.
func (s *Statement) Text() string { return s.text }

// Postgres is the text that a Postgres backend runs.
func (s *Statement) Postgres() string { return s.postgres }

// SQLite is the text that a SQLite backend runs: ?N instead of $N, because raw
// $N is a named parameter there and is numbered by first appearance.
func (s *Statement) SQLite() string { return s.sqlite }

var dollarOrLiteral = regexp.MustCompile(`'(?:[^']|'')*'|"[^"]*"|\$([0-9]+)`)

// Question turns $N into ?N outside quoted literals and names.
func Question(text string) string {
	return dollarOrLiteral.ReplaceAllStringFunc(text, func(m string) string {
		if m[0] != '$' {
			return m
		}
		return "?" + m[1:]
	})
}
