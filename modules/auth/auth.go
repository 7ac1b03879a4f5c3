// Package auth says who is asking: admins by bearer tokens, of which only a digest
// is stored; customers by a password, then by a session with short access tokens
// and refresh tokens that are good for one use.
package auth

import "smartseller/platform/fault"

// ErrInvalidToken is the one answer to a token that is unknown, expired or revoked.
var ErrInvalidToken = &fault.Error{
	Kind: fault.Unauthorized, Code: "invalid_token", Detail: "The token is not valid: it is unknown, expired or revoked.",
	Header: map[string]string{"WWW-Authenticate": `Bearer error="invalid_token"`},
}
