package sqlstore

import (
	"fmt"
	"reflect"

	"smartseller/platform/database"
)

// bind puts the storefront in front of a statement's arguments and reduces each
// to what all engines store the same way: string, int64, []byte or nil.
func bind(storefront string, args []any) ([]any, error) {
	out := make([]any, 1, 1+len(args))
	out[0] = storefront
	for i, arg := range args {
		v, err := portable(arg)
		if err != nil {
			return nil, fmt.Errorf("argument $%d: %w", i+2, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func portable(arg any) (any, error) {
	switch v := arg.(type) {
	case nil:
		return nil, nil
	case string:
		return checkText(v)
	case int64:
		return v, nil
	case int:
		return int64(v), nil
	case bool:
		return database.Truth(v), nil
	case []byte:
		if v == nil {
			return nil, nil
		}
		return v, nil
	}
	v := reflect.ValueOf(arg)
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return portable(v.Elem().Interface())
	case reflect.String:
		return checkText(v.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Bool:
		return database.Truth(v.Bool()), nil
	}
	return nil, fmt.Errorf("a %T is not portable: bind a string, int64, bool or []byte", arg)
}

func checkText(s string) (any, error) {
	if err := database.CheckText(s); err != nil {
		return nil, err
	}
	return s, nil
}
