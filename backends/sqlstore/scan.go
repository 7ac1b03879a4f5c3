package sqlstore

import (
	"database/sql"
	"fmt"
	"reflect"
	"strings"

	"github.com/jmoiron/sqlx/reflectx"
)

// fields finds struct fields by `db` tag, or by their name in lower case: the
// rules of sqlx, whose own scanning cannot leave out the key column of a Write.
var fields = reflectx.NewMapperFunc("db", strings.ToLower)

var scannerType = reflect.TypeFor[sql.Scanner]()

// scanner fills one value, a struct or a scalar, from each row.
type scanner struct {
	target reflect.Value // the value to fill, addressable
	slice  reflect.Value // for Select: where each filled value is appended
	paths  [][]int       // per column the way to the struct's field; nil for a scalar
	dest   []any         // where Scan puts the columns, then the key
	own    int           // how many of dest are the module's columns
}

func newScanner(dst any, columns []string, key []any) (*scanner, error) {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil, fmt.Errorf("the destination must be a pointer, not %T", dst)
	}
	return scannerOf(v.Elem(), columns, key)
}

func newSliceScanner(dst any, columns []string, key []any) (*scanner, error) {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Slice {
		return nil, fmt.Errorf("the destination must be a pointer to a slice, not %T", dst)
	}
	slice := v.Elem()
	slice.Set(reflect.MakeSlice(slice.Type(), 0, 0)) // a function that runs again must not append to its first try
	s, err := scannerOf(reflect.New(slice.Type().Elem()).Elem(), columns, key)
	if err != nil {
		return nil, err
	}
	s.slice = slice
	return s, nil
}

func scannerOf(target reflect.Value, columns []string, key []any) (*scanner, error) {
	s := &scanner{target: target, own: len(columns), dest: make([]any, len(columns), len(columns)+1)}
	s.dest = append(s.dest, key...)
	t := target.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(scannerType) {
		if len(columns) != 1 {
			return nil, fmt.Errorf("%d columns do not fit into one %s", len(columns), t)
		}
		return s, nil
	}
	s.paths = fields.TraversalsByName(t, columns)
	for i, path := range s.paths {
		if len(path) == 0 {
			return nil, fmt.Errorf("%s has no field for column %s", t, columns[i])
		}
	}
	return s, nil
}

// scan reads the current row.
func (s *scanner) scan(rows *sql.Rows) error {
	if s.slice.IsValid() {
		s.target.SetZero()
	}
	if s.paths == nil {
		s.dest[0] = s.target.Addr().Interface()
	} else {
		row := s.target
		if row.Kind() == reflect.Pointer {
			row.Set(reflect.New(row.Type().Elem()))
			row = row.Elem()
		}
		for i, path := range s.paths {
			s.dest[i] = reflectx.FieldByIndexes(row, path).Addr().Interface()
		}
	}
	if err := rows.Scan(s.dest...); err != nil {
		return err
	}
	if s.slice.IsValid() {
		s.slice.Set(reflect.Append(s.slice, s.target))
	}
	return nil
}
