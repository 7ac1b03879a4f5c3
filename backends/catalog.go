package backends

import (
	"fmt"
	"sort"
)

// Type is a portable column type. The schema's one text says TEXT, BIGINT or
// BYTEA; SQLite gets TEXT, INTEGER, BLOB in STRICT tables.
type Type uint8

// The portable types and the Go type a value has in a [Row].
const (
	Text    Type = iota + 1 // string, UTF-8 without NUL
	Integer                 // int64: numbers, booleans 0/1, times in microseconds UTC, money in minor units
	Bytes                   // []byte
)

// Column is one column of a tenant table, beside storefront_id.
type Column struct {
	Name string
	Type Type
	Null bool
}

// Unique is a unique key beside the primary key; storefront_id, its first
// column, is not repeated. Where is the predicate of a partial index, or "".
type Unique struct {
	Name    string
	Columns []string
	Where   string
}

// Reference says that Column holds ids of Table (or is NULL). No engine
// enforces it: services keep it, the verifier checks it.
type Reference struct {
	Column string
	Table  string
}

// Class says whether a table moves with its storefront.
type Class uint8

// The classes of tenant tables.
const (
	Moves Class = iota // copied, captured, verified, purged
	Local              // belongs to the place: never copied or digested, always purged
)

// Table declares one tenant table. Its primary key is (storefront_id, id); the
// first entry of Columns is always id. A module declares its tables as
// package-level variables in store.go and hands them to the catalog.
type Table struct {
	Name       string
	Class      Class
	Columns    []Column
	Uniques    []Unique
	References []Reference
}

// Column finds a column's position, or -1.
func (t *Table) Column(name string) int {
	for i, c := range t.Columns {
		if c.Name == name {
			return i
		}
	}
	return -1
}

// T, I and B declare a NOT NULL column; NT, NI and NB one that may be NULL.
func T(name string) Column  { return Column{Name: name, Type: Text} }
func I(name string) Column  { return Column{Name: name, Type: Integer} }
func B(name string) Column  { return Column{Name: name, Type: Bytes} }
func NT(name string) Column { return Column{Name: name, Type: Text, Null: true} }
func NI(name string) Column { return Column{Name: name, Type: Integer, Null: true} }
func NB(name string) Column { return Column{Name: name, Type: Bytes, Null: true} }

// Catalog is the list of all tenant tables. It drives the mover, the verifier,
// export, erase and the statistics. Immutable after NewCatalog.
type Catalog struct {
	tables []*Table
	byName map[string]*Table
}

// NewCatalog checks the declarations and adds the store's own local tables. An
// error names the table that is wrong.
func NewCatalog(tables ...*Table) (*Catalog, error) {
	c := &Catalog{byName: map[string]*Table{}}
	for _, t := range append(append([]*Table{}, tables...), localTables...) {
		if err := checkTable(t); err != nil {
			return nil, err
		}
		if c.byName[t.Name] != nil {
			return nil, fmt.Errorf("catalog: table %s is declared twice", t.Name)
		}
		c.byName[t.Name] = t
		c.tables = append(c.tables, t)
	}
	for _, t := range c.tables {
		for _, r := range t.References {
			if t.Column(r.Column) < 0 || c.byName[r.Table] == nil {
				return nil, fmt.Errorf("catalog: %s.%s refers to %s: no such column or table", t.Name, r.Column, r.Table)
			}
		}
	}
	sort.Slice(c.tables, func(i, j int) bool { return c.tables[i].Name < c.tables[j].Name })
	return c, nil
}

func checkTable(t *Table) error {
	if len(t.Columns) == 0 || t.Columns[0] != T("id") {
		return fmt.Errorf("catalog: the first column of %s must be id TEXT NOT NULL", t.Name)
	}
	seen := map[string]bool{"storefront_id": true}
	for _, col := range t.Columns {
		if seen[col.Name] {
			return fmt.Errorf("catalog: column %s.%s is declared twice, or is storefront_id", t.Name, col.Name)
		}
		seen[col.Name] = true
	}
	for _, u := range t.Uniques {
		for _, name := range u.Columns {
			if t.Column(name) < 0 {
				return fmt.Errorf("catalog: unique key %s of %s names the unknown column %s", u.Name, t.Name, name)
			}
		}
	}
	return nil
}

// Tables returns every table, by name.
func (c *Catalog) Tables() []*Table { return c.tables }

// Moving returns the tables that move with a storefront, by name.
func (c *Catalog) Moving() []*Table {
	var out []*Table
	for _, t := range c.tables {
		if t.Class == Moves {
			out = append(out, t)
		}
	}
	return out
}

// Table finds a table by name; nil when there is none.
func (c *Catalog) Table(name string) *Table { return c.byName[name] }

// The store's own tables: one fence row per place, the captured keys, and at
// a move's target the copy's progress, the keys still to be compared and the indexes
// still to be made.
var (
	FenceTable    = &Table{Name: "fence", Class: Local, Columns: []Column{T("id"), I("epoch"), T("state"), I("capture"), T("move_id"), I("gen")}}
	CapturedTable = &Table{Name: "captured_keys", Class: Local, Columns: []Column{T("id"), T("table_name"), T("row_id")}}
	ProgressTable = &Table{Name: "move_progress", Class: Local, Columns: []Column{T("id"), T("cursor"), T("through"), I("copied"), I("done")}}
	VerifyTable   = &Table{Name: "to_verify", Class: Local, Columns: []Column{T("id"), T("table_name"), T("row_id")}}
	DeferredTable = &Table{Name: "deferred_indexes", Class: Local, Columns: []Column{T("id"), T("table_name"), T("definition")}}

	localTables = []*Table{FenceTable, CapturedTable, ProgressTable, VerifyTable, DeferredTable}
)
