// Package ids makes and checks identifiers: lower-case UUIDv7 text (RFC 9562),
// whose byte order is the order of making in every collation.
package ids

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// New makes an identifier. It panics only when the system has no randomness left.
func New() string { return uuid.Must(uuid.NewV7()).String() }

// First comes before all that New makes from a time on, and behind what it made before.
func First(at time.Time) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return ms[:8] + "-" + ms[8:]
}

// Named makes the identifier of something that has a name elsewhere: the same words
// always give the same one. It is a UUIDv8 (RFC 9562) that comes before all that New
// makes. Things whose numbers are near one another get identifiers that are, too, so
// that what is written together lies together; the number must be as lasting as the
// words.
func Named(near uint64, words ...string) string {
	h := sha256.New()
	for _, word := range words {
		fmt.Fprintf(h, "%d:%s", len(word), word)
	}
	var u uuid.UUID
	copy(u[6:], h.Sum(nil))
	u[1], u[2], u[3], u[4], u[5] = byte(near>>32), byte(near>>24), byte(near>>16), byte(near>>8), byte(near)
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

// Valid says whether s is an identifier in canonical lower-case form, of any version.
func Valid(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}
