package database

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"smartseller/platform/fault"
)

// ErrText refuses text that not every engine can hold: Postgres knows neither NUL nor
// invalid UTF-8, SQLite would take both.
var ErrText = fault.New(fault.Invalid, "invalid_text", "Text must be valid UTF-8 without NUL characters.")

// CheckText is ErrText unless every engine can hold s.
func CheckText(s string) error {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return ErrText
	}
	return nil
}

// CheckTexts is CheckText for those of a statement's arguments that are text.
func CheckTexts(args []any) error {
	for _, arg := range args {
		v := reflect.ValueOf(arg)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.String {
			continue
		}
		if err := CheckText(v.String()); err != nil {
			return err
		}
	}
	return nil
}
