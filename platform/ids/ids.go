// Package ids makes and checks identifiers: lower-case UUIDv7 text (RFC 9562),
// whose byte order is the order of making in every collation.
package ids

import "github.com/google/uuid"

// New makes an identifier. It panics only when the system has no randomness left.
func New() string { return uuid.Must(uuid.NewV7()).String() }

// Valid says whether s is an identifier in canonical lower-case form, of any version.
func Valid(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}
