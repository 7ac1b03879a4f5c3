// Package auth says who is asking. So far that is admins: each has bearer tokens,
// of which only a digest is stored.
package auth

import "smartseller/platform/fault"

// ErrInvalidToken is the one answer to a token that is unknown, expired or revoked.
var ErrInvalidToken = &fault.Error{
	Kind: fault.Unauthorized, Code: "invalid_token", Detail: "The token is not valid: it is unknown, expired or revoked.",
	Header: map[string]string{"WWW-Authenticate": `Bearer error="invalid_token"`},
}
