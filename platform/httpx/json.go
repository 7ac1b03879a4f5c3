package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
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
// What is compressed, or in letters other than UTF-8, is nothing else here.
func nameKind(h http.Header) {
	kind, params, err := mime.ParseMediaType(strings.Join(h.Values("Content-Type"), ", "))
	known := err == nil && (kind == "application/json" || kind == "multipart/form-data")
	if !known || !isOr(params["charset"], "utf-8", "utf8", "us-ascii") || !isOr(strings.Join(h.Values("Content-Encoding"), ", "), "identity") {
		h.Set("Content-Type", "application/octet-stream")
	}
}

// isOr says that a value is one of what it may be, or not given.
func isOr(value string, may ...string) bool {
	return value == "" || slices.ContainsFunc(may, func(one string) bool { return strings.EqualFold(value, one) })
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
		at, _ := pointerTo(json.NewDecoder(bytes.NewReader(body)), wrong.Offset)
		return fmt.Errorf("%s%s, without a fraction or an exponent, and not too large", at, notWhole)
	}
	return err
}

// notWhole stands behind the pointer to a number, since huma takes only text.
const notWhole = " must be a whole number"

// pointerTo finds the value that ends at an offset.
func pointerTo(d *json.Decoder, end int64) (pointer string, found bool) {
	token, err := d.Token()
	open, nested := token.(json.Delim)
	if err != nil || !nested {
		return "", d.InputOffset() == end
	}
	for i := 0; d.More(); i++ {
		at := strconv.Itoa(i)
		if open == '{' {
			name, _ := d.Token()
			at, _ = name.(string)
		}
		if inner, found := pointerTo(d, end); found {
			return step(at) + inner, true
		}
	}
	_, _ = d.Token() // that closes it
	return "", false
}

// memberError says which value of a body cannot be taken, whatever the operation.
type memberError struct{ pointer, code, detail string }

func (e *memberError) Error() string { return e.pointer + " " + e.detail }

func (e *memberError) below(at string) error {
	return &memberError{step(at) + e.pointer, e.code, e.detail}
}

// unambiguous reads a value, and refuses one in which an object has a name twice, a text
// has a NUL, which no backend can keep, or that is nested deeper than anything that is
// asked for here.
func unambiguous(d *json.Decoder, depth int) error {
	const deepest = 32
	token, err := d.Token()
	if text, ok := token.(string); ok && strings.ContainsRune(text, 0) {
		return &memberError{"", "invalid_text", "must not contain NUL characters"}
	}
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
				return &memberError{step(at), "repeated", "is there more than once"}
			}
			names[at] = true
		}
		err := unambiguous(d, depth+1)
		if inner := new(memberError); errors.As(err, &inner) {
			return inner.below(at)
		}
		if err != nil {
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

// unacceptable finds the value that made a body fail as a whole; nil when none did.
func unacceptable(body string) (e *memberError) {
	errors.As(unambiguous(json.NewDecoder(strings.NewReader(body)), 0), &e)
	return e
}
