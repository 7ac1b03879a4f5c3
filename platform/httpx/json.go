package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// onlyJSON is what bodies are read and written as. No two readers may take a body for
// different things, so it is stricter than encoding/json: UTF-8, which that would mend
// silently, and every name once in an object.
func onlyJSON() map[string]huma.Format {
	write := huma.DefaultJSONFormat.Marshal
	return map[string]huma.Format{
		"application/json": {Marshal: write, Unmarshal: unmarshal},
		"json":             {Marshal: write}, // application/problem+json; no request is of a type like that
	}
}

// nameKind makes a body of no type, or of one that is not well-formed, what RFC 9110
// allows to take it for: bytes, which no operation takes. huma would take it for JSON.
func nameKind(h http.Header) {
	kind, _, err := mime.ParseMediaType(strings.Join(h.Values("Content-Type"), ", "))
	if err != nil || kind != "application/json" && kind != "multipart/form-data" {
		h.Set("Content-Type", "application/octet-stream")
	}
}

var (
	errNotUTF8 = errors.New("not UTF-8")
	errTooDeep = errors.New("too deep")
)

func unmarshal(body []byte, into any) error {
	if !utf8.Valid(body) {
		return errNotUTF8
	}
	if err := unambiguous(json.NewDecoder(bytes.NewReader(body)), 0); err != nil {
		return err
	}
	err := json.Unmarshal(body, into)
	if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
		// The description took 1.0 for a whole number.
		return fmt.Errorf("%s must be a whole number, without a fraction or an exponent, and not too large", wrong.Field)
	}
	return err
}

// repeatedError says which member an object has twice.
type repeatedError struct{ pointer string }

func (e *repeatedError) Error() string { return e.pointer + " is there twice" }

// unambiguous reads a value, and refuses one in which an object has a name twice or
// that is nested deeper than anything that is asked for here.
func unambiguous(d *json.Decoder, depth int) error {
	const deepest = 32
	token, err := d.Token()
	open, nested := token.(json.Delim)
	if err != nil || !nested {
		return err
	}
	if depth == deepest {
		return errTooDeep
	}
	names := map[string]bool{}
	for i := 0; d.More(); i++ {
		at := strconv.Itoa(i)
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			at, _ = name.(string)
			if names[at] {
				return &repeatedError{step(at)}
			}
			names[at] = true
		}
		if err := unambiguous(d, depth+1); err != nil {
			if inner := new(repeatedError); errors.As(err, &inner) {
				inner.pointer = step(at) + inner.pointer
			}
			return err
		}
	}
	_, err = d.Token() // that closes it
	return err
}

// step is one of a JSON pointer's, RFC 6901.
func step(name string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// repeated finds the member that made a body ambiguous; "" when none did.
func repeated(body string) string {
	e := new(repeatedError)
	errors.As(unambiguous(json.NewDecoder(strings.NewReader(body)), 0), &e)
	return e.pointer
}
