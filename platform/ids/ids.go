// Package ids makes and checks identifiers: lower-case UUIDv7 text (RFC 9562),
// whose byte order is the order of making in every collation.
package ids

import (
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
)

// New makes an identifier. It panics only when the system has no randomness left.
func New() string { return uuid.Must(uuid.NewV7()).String() }

// Named makes the identifier of something that has a name elsewhere: the same words
// always give the same one. It is a UUIDv8 that begins with zeros, so that it comes
// before all that New makes.
func Named(words ...string) string {
	h := sha256.New()
	for _, word := range words {
		fmt.Fprintf(h, "%d:%s", len(word), word)
	}
	var u uuid.UUID
	copy(u[6:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

// Valid says whether s is an identifier in canonical lower-case form, of any version.
func Valid(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}
