// Package page makes the cursors of lists: where the next page begins, sealed, so
// that nobody can make one up, or use one at another list than its own.
package page

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"smartseller/platform/clock"
	"smartseller/platform/crypto"
	"smartseller/platform/fault"
)

// Life is how long a cursor is good for.
const Life = 24 * time.Hour

// ErrCursor is the one answer to a cursor that was changed, is another list's or
// has expired.
var ErrCursor = fault.New(fault.Malformed, "invalid_cursor", "The cursor is not one that this list gave out lately: begin again without one.")

// List names a list with all that decides what is on it and in which order: its
// storefront, its owner, its filters. No part holds a NUL.
type List []string

func (l List) aad() []byte { return []byte("cursor\x00" + strings.Join(l, "\x00")) }

// Cursors seals and opens cursors. Safe for concurrent use.
type Cursors struct {
	keys  *crypto.Keyring
	clock clock.Clock
}

// NewCursors makes it from the keys that all instances share.
func NewCursors(keys *crypto.Keyring, c clock.Clock) *Cursors { return &Cursors{keys: keys, clock: c} }

// inside is what a cursor holds.
type inside struct {
	Until int64           `json:"u"` // microseconds UTC
	After json.RawMessage `json:"a"`
}

// Seal makes the cursor of the page that follows a position, which is anything that
// JSON can hold.
func (c *Cursors) Seal(list List, after any) (string, error) {
	position, err := json.Marshal(after)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(inside{Until: c.clock().Add(Life).UnixMicro(), After: position})
	return base64.RawURLEncoding.EncodeToString(c.keys.Seal(text, list.aad())), err
}

// Open reads a cursor's position into what after points to. The empty cursor stands
// for the first page and leaves it alone.
func (c *Cursors) Open(list List, cursor string, after any) error {
	if cursor == "" {
		return nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return ErrCursor.Because(err)
	}
	text, err := c.keys.Open(sealed, list.aad())
	if err != nil {
		return ErrCursor.Because(err)
	}
	var in inside
	if err := json.Unmarshal(text, &in); err != nil {
		return ErrCursor.Because(err)
	}
	if in.Until <= c.clock().UnixMicro() {
		return ErrCursor
	}
	if err := json.Unmarshal(in.After, after); err != nil {
		return ErrCursor.Because(err)
	}
	return nil
}
